/** Opens the store that a stage names: s3://BUCKET/PREFIX, or a directory. */

import type { Clients } from '../aws/clients.ts';
import type { StageConfig } from '../config/schema.ts';
import { DirectoryStore } from './directory-store.ts';
import type { Store } from './store.ts';

export async function openStore({ record }: StageConfig, clients: Clients): Promise<Store> {
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(record) ?? [];
  if (bucket === undefined) return new DirectoryStore(record);
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(await clients.s3(), bucket, prefix);
}
