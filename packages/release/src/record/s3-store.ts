/** A store in an S3 bucket that uses conditional writes: If-Match and If-None-Match. */

import {
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import type { Store, Stored } from './store.ts';

/** 409: two conditional writes happened at the same moment. 404: the object to match was removed. */
const CONFLICTS = [404, 409, 412];

export class S3Store implements Store {
  readonly place: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(client: S3Client, bucket: string, prefix: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
    this.place = `s3://${bucket}/${this.#prefix}`;
  }

  async read(name: string): Promise<Stored | undefined> {
    try {
      const { Body, ETag = '' } = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + name }),
      );
      return { text: (await Body?.transformToString()) ?? '', version: ETag };
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined;
      throw error;
    }
  }

  async write(name: string, text: string, version: string | undefined): Promise<string | undefined> {
    try {
      const { ETag } = await this.#client.send(
        new PutObjectCommand({
          Bucket: this.#bucket,
          Key: this.#prefix + name,
          Body: text,
          ContentType: 'application/json',
          ...(version === undefined ? { IfNoneMatch: '*' } : { IfMatch: version }),
        }),
      );
      return ETag;
    } catch (error) {
      const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
      const isGone = error instanceof S3ServiceException && error.name === 'NoSuchBucket';
      if (status !== undefined && CONFLICTS.includes(status) && !isGone) return undefined;
      throw error;
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix + prefix,
          ...(token !== undefined && { ContinuationToken: token }),
        }),
      );
      names.push(...(page.Contents ?? []).map(({ Key = '' }) => Key.slice(this.#prefix.length)));
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return names.sort();
  }
}
