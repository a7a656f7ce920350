/** Tells which credentials SQS has refused. By the time of a refusal, the app may have newer ones. */

import type { SQSClient } from '@aws-sdk/client-sqs';

const REFUSED = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
]);

/** @param refused called with the access key id of each refused request */
export function watchRefusals(sqs: SQSClient, refused: (accessKeyId: string) => void): void {
  sqs.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        if (REFUSED.has((error as Error).name)) refused(signerOf(args.request as Signed));
        throw error;
      }
    },
    // The request is signed by then, and outside the deserializer, an error has its name.
    { name: 'watchRefusals', step: 'deserialize', priority: 'high' },
  );
}

interface Signed {
  readonly headers: Readonly<Record<string, string>>;
}

/** The access key id with which a request is signed, or an empty string. Source: AWS's Signature Version 4 */
export function signerOf({ headers }: Signed): string {
  return /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1] ?? '';
}
