/** The client of S3, with limits on each wait and each answer. This file is loaded only where there is a bucket. */

import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';
import { credentialDefaultProvider } from '../host/aws-credentials.ts';
import { releasingReads } from '../lifetime/released-buffers.ts';
import { limitAnswers } from './answer-limits.ts';

/** Milliseconds: for a connection, for an answer to a request with all of its body, and of silence amid either. */
const CONNECT = 3000;
const ANSWER = 60_000;
const SILENCE = 15_000;
const CONNECTIONS = { keepAlive: true, maxSockets: 50 };

/** @param region where it is looked for first @param endpoint of another S3 than Amazon's */
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
  // Of an archive only the CRC is signed, which S3 checks: an archive proves itself when it is read, and a digest of it
  // would take as long as its encryption.
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
