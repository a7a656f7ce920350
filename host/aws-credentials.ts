/**
 * The credentials of the AWS clients. They come from the SDK's default chain without IMDSv1, which the SDK otherwise
 * falls back to when it gets no session token.
 */

import type { DefaultProviderInit, defaultProvider } from '@aws-sdk/credential-provider-node';

type Provider = ReturnType<typeof defaultProvider>;

/** Pass it to each client under this name. The SDK's chain is loaded only when a client asks. */
export function credentialDefaultProvider(config: DefaultProviderInit = {}): Provider {
  let provider: Promise<Provider> | undefined;
  const provide: Provider = async (options) => {
    provider ??= open(config);
    const asked = provider;
    try {
      return await (await asked)(options);
    } catch (error) {
      // After a refused token, a provider never asks for one again, so a new one replaces it.
      if (provider === asked) provider = undefined;
      throw error;
    }
  };
  return Object.assign(provide, { memoized: true as const });
}

async function open(config: DefaultProviderInit): Promise<Provider> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return defaultProvider({ ...config, ec2MetadataV1Disabled: true });
}
