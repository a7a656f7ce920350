/**
 * The handling of one delivery: the handler runs within its time limit, and a message that keeps failing is set aside.
 *
 * SQS also counts deliveries in which a message only waited behind another one of its group. So the count is used only after
 * the handler has failed.
 */

import { EchoStreamError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { Delivery, Held } from './receiving/held.ts';
import type { Telemetry } from './telemetry.ts';

export type Handler = (delivery: Delivery) => unknown;
export type PoisonHandler = (delivery: Delivery, error: unknown) => unknown;

export interface HandlingOptions {
  readonly handle: Handler;
  /** Gets messages that failed at their delivery number `maxReceives` or later. */
  readonly handlePoison: PoisonHandler | undefined;
  readonly maxReceives: number;
  /** The time limit of a handler, in milliseconds. Undefined: no limit. */
  readonly messageTimeout: number | undefined;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
}

/** Rejects if the message must be delivered again. */
export function makeHandling(options: HandlingOptions): (held: Held) => Promise<void> {
  const { handle, handlePoison, maxReceives, messageTimeout, telemetry, logger } = options;
  const work = (held: Held): unknown =>
    messageTimeout === undefined ? handle(held) : withTimeout(held, messageTimeout, async () => handle(held));
  const attempt = async (held: Held): Promise<void> => {
    try {
      await work(held);
    } catch (error) {
      if (!handlePoison || held.receiveCount < maxReceives || held.lost) throw error;
      await handlePoison(held, error);
    }
  };
  return async (held) => {
    const { source, receiveCount, message } = held;
    try {
      await telemetry.handling(source, held.attributes, () => attempt(held));
    } catch (error) {
      const { trackingId } = message;
      logger.error(
        { error, source, trackingId, receiveCount },
        'a handler failed, so its message comes again',
      );
      throw error;
    }
  };
}

async function withTimeout(held: Held, milliseconds: number, work: () => Promise<unknown>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const late = new EchoStreamError(
      'MESSAGE_TIMEOUT',
      `The handler of message ${held.message.trackingId} took longer than messageTimeout, ${milliseconds} ms.`,
    );
    held.abort(late);
    reject(late);
  }, milliseconds);
  try {
    await Promise.race([work(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
