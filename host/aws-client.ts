/** Options for AWS clients that try once and limit each wait. The caller decides about retries. */

import { credentialDefaultProvider } from './aws-credentials.ts';

/** In milliseconds: for a connection, and for an answer. */
const CONNECT = 3000;
const ANSWER = 10_000;

/** @param endpoint of a service other than Amazon's */
export function askingOnce(region: string, endpoint: URL | undefined) {
  return {
    region,
    ...(endpoint && { endpoint: endpoint.href }),
    credentialDefaultProvider,
    // The pauses of the SDK's own retries would continue after an abort.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT,
      requestTimeout: ANSWER,
      throwOnRequestTimeout: true,
      socketTimeout: ANSWER,
    },
  };
}
