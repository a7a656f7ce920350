/** What a failure of a call to AWS says. */

import { messageOf } from '../errors/service-error.ts';

/** What the SDK throws. */
interface Failure {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/**
 * Whether asking again cannot help, such as for want of a right. Too many requests are no refusal: EC2 answers them with
 * status 503, and Auto Scaling with this name.
 */
export function isRefusal(error: unknown): boolean {
  const { name, $metadata: { httpStatusCode: status = 0 } = {} } = error as Failure;
  return name === 'CredentialsProviderError' || (status >= 400 && status < 500 && name !== 'Throttling');
}

/** Not in the words of AWS, which may repeat what was sent. */
export function whyOf(error: unknown): string {
  const { name, $metadata: { httpStatusCode: status } = {} } = error as Failure;
  return status ? `${name}, status ${status}` : messageOf(error);
}
