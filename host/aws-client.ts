/** How a client of AWS is made that asks once, with a limit on each wait: whoever asks knows how long to go on. */

import { credentialDefaultProvider } from './aws-credentials.ts';

/** Milliseconds: for a connection, and for an answer. */
const CONNECT = 3000;
const ANSWER = 10_000;

/** @param endpoint of another service than Amazon's */
export function askingOnce(region: string, endpoint: URL | undefined) {
  return {
    region,
    ...(endpoint && { endpoint: endpoint.href }),
    credentialDefaultProvider,
    // The SDK's own pauses between attempts would outlive a signal that aborts.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT,
      requestTimeout: ANSWER,
      throwOnRequestTimeout: true,
      socketTimeout: ANSWER,
    },
  };
}
