/**
 * The credentials of the AWS clients. They come from the SDK's default chain without IMDSv1, which the SDK otherwise
 * falls back to when it gets no session token.
 */

import { type DefaultProviderInit, defaultProvider } from '@aws-sdk/credential-provider-node';

type Provider = ReturnType<typeof defaultProvider>;

/** Pass it to each client under this name. */
export function credentialDefaultProvider(config: DefaultProviderInit = {}): Provider {
  const open = () => defaultProvider({ ...config, ec2MetadataV1Disabled: true });
  let provider = open();
  const provide: Provider = async (options) => {
    const asked = provider;
    try {
      return await asked(options);
    } catch (error) {
      // After a refused token, a provider never asks for one again, so a new one replaces it.
      if (provider === asked) provider = open();
      throw error;
    }
  };
  return Object.assign(provide, { memoized: true as const });
}
