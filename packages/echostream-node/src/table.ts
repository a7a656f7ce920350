/** The tenant's DynamoDB table. AWS's client for it is loaded by apps that have access to the table. */

import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Credentials } from './audit-delivery.ts';

export interface TenantTable {
  readonly name: string;
  /** Takes and gives plain objects; use it with the commands of @aws-sdk/lib-dynamodb. */
  readonly documents: DynamoDBDocumentClient;
}

export interface TableOptions {
  readonly name: string;
  readonly region: string;
  /** Undefined: those of the environment. */
  readonly credentials: (() => Promise<Credentials>) | undefined;
}

export async function openTable({ name, region, credentials }: TableOptions): Promise<TenantTable> {
  const [{ DynamoDBClient }, { DynamoDBDocumentClient }] = await Promise.all([
    import('@aws-sdk/client-dynamodb'),
    import('@aws-sdk/lib-dynamodb'),
  ]);
  const client = new DynamoDBClient({ region, ...(credentials && { credentials }) });
  return {
    name,
    documents: DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }),
  };
}
