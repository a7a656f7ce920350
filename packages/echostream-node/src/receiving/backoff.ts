/** How long a failed message waits in its queue before it is delivered again. */

import type { Logger } from '../logger.ts';
import type { Delivery } from './held.ts';

/** Returns the seconds until a failed message is delivered again. */
export type Backoff = (delivery: Delivery, error: unknown) => number;

/** SQS's limit, in seconds. */
export const LONGEST_BACKOFF = 43_200;

/** @param given seconds, or a function that may fail */
export function backoffOf(given: number | Backoff | undefined, logger: Logger): Backoff {
  const seconds: Backoff =
    typeof given === 'function'
      ? given
      : ({ receiveCount }) => given ?? Math.min(300, 2 ** (receiveCount - 1) - 1);
  return (delivery, error) => {
    try {
      const wanted = Math.round(seconds(delivery, error));
      if (Number.isFinite(wanted)) return Math.min(LONGEST_BACKOFF, Math.max(0, wanted));
      logger.error({ wanted }, 'the backoff of a failed message is no number; it comes again at once');
    } catch (failure) {
      logger.error({ error: failure }, 'the backoff function failed; the failed message comes again at once');
    }
    return 0;
  };
}
