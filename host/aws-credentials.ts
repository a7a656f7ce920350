/**
 * Where the clients of AWS have their credentials from: as the SDK finds them by itself, but never by IMDSv1, with which
 * the SDK otherwise goes on when it gets no session token.
 */

import { type DefaultProviderInit, defaultProvider } from '@aws-sdk/credential-provider-node';

type Provider = ReturnType<typeof defaultProvider>;

/** To be given to each client, by this name. */
export function credentialDefaultProvider(config: DefaultProviderInit = {}): Provider {
  const open = () => defaultProvider({ ...config, ec2MetadataV1Disabled: true });
  let provider = open();
  const provide: Provider = async (options) => {
    const asked = provider;
    try {
      return await asked(options);
    } catch (error) {
      // One that was refused a token never asks for one again.
      if (provider === asked) provider = open();
      throw error;
    }
  };
  return Object.assign(provide, { memoized: true as const });
}
