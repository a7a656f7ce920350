/** The S3 client, with limits on each wait and each answer. This file is loaded only if a bucket is configured. */

import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';
import { credentialDefaultProvider } from '../host/aws-credentials.ts';
import { releasingReads } from '../lifetime/released-buffers.ts';
import { limitAnswers } from './answer-limits.ts';

/** In milliseconds: for a connection, for the answer to a complete request, and for silence during either. */
const CONNECT = 3000;
const ANSWER = 60_000;
const SILENCE = 15_000;
const CONNECTIONS = { keepAlive: true, maxSockets: 50 };

/** @param region the region to try first @param endpoint of an S3 service other than Amazon's */
export function openS3(region: string, endpoint: URL | undefined): S3Client {
  const client = new S3Client({
    region,
    ...(endpoint && { endpoint: endpoint.href, forcePathStyle: true }),
    credentialDefaultProvider,
    followRegionRedirects: true,
    maxAttempts: 5,
    requestHandler: {
      httpAgent: releasingReads(new Agent(CONNECTIONS)),
      httpsAgent: releasingReads(new TlsAgent(CONNECTIONS)),
      connectionTimeout: CONNECT,
      requestTimeout: ANSWER,
      throwOnRequestTimeout: true,
      socketTimeout: SILENCE,
    },
  });
  // The body of an archive is protected by a CRC only, which S3 checks. The archive is authenticated when it is read,
  // and a SHA-256 of it would take as long as its encryption.
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers, body } = args.request as { headers: Record<string, string>; body?: unknown };
      if (Buffer.isBuffer(body)) headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      return next(args);
    },
    { step: 'build' },
  );
  limitAnswers(client);
  return client;
}
