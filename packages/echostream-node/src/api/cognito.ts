/** The client for Cognito. Its two calls are not signed, so it needs no credentials. */

import { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';
import type { ServerTime } from './server-time.ts';

export function cognitoClient(userPoolId: string, time: ServerTime): CognitoIdentityProviderClient {
  const client = new CognitoIdentityProviderClient({
    region: userPoolId.slice(0, userPoolId.indexOf('_')),
    credentials: { accessKeyId: 'unused', secretAccessKey: 'unused' },
  });
  client.middlewareStack.add(
    (next) => async (given) => {
      const result = await next(given);
      time.learn((result.response as { headers?: Record<string, string> }).headers?.date);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'learnServerTime' },
  );
  return client;
}
