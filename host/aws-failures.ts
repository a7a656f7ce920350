/** Interprets failed calls to AWS. */

import { messageOf } from '../errors/service-error.ts';

/** What the SDK throws. */
interface Failure {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/**
 * Whether a retry cannot help, for example because a permission is missing. Throttling is not a refusal: EC2 answers it
 * with status 503, and Auto Scaling with this name.
 */
export function isRefusal(error: unknown): boolean {
  const { name, $metadata: { httpStatusCode: status = 0 } = {} } = error as Failure;
  return name === 'CredentialsProviderError' || (status >= 400 && status < 500 && name !== 'Throttling');
}

/** Does not include AWS's own message, which may repeat the request. */
export function whyOf(error: unknown): string {
  const { name, $metadata: { httpStatusCode: status } = {} } = error as Failure;
  return status ? `${name}, status ${status}` : messageOf(error);
}
