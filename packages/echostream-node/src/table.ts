/** The tenant's DynamoDB table. Only apps with access to the table load AWS's client for it. */

import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import type { Credentials } from './audit-delivery.ts';

export interface TenantTable {
  readonly name: string;
  /** Accepts and returns plain objects; use it with the commands of @aws-sdk/lib-dynamodb. */
  readonly documents: DynamoDBDocumentClient;
}

export interface TableOptions {
  readonly name: string;
  readonly region: string;
  /** Undefined: the credentials of the environment. */
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
