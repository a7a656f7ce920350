/** What becomes of one delivery: the handler runs within its time, and a message that always fails is set aside. */

import { EchoStreamError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { Delivery, Held } from './receiving/held.ts';
import type { Telemetry } from './telemetry.ts';

export type Handler = (delivery: Delivery) => unknown;

export interface HandlingOptions {
  readonly handle: Handler;
  /** Gets messages that were delivered more often than `maxReceives`. */
  readonly handlePoison: Handler | undefined;
  readonly maxReceives: number;
  /** Milliseconds that a handler has; undefined: as many as it needs. */
  readonly messageTimeout: number | undefined;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
}

/** Rejects when the message should come again. */
export function makeHandling(options: HandlingOptions): (held: Held) => Promise<void> {
  const { handle, handlePoison, maxReceives, messageTimeout, telemetry, logger } = options;
  return async (held) => {
    const handler = handlePoison && held.receiveCount > maxReceives ? handlePoison : handle;
    const { source, receiveCount, message } = held;
    try {
      await telemetry.handling(source, held.attributes, async () => {
        if (messageTimeout === undefined) return handler(held);
        return withTimeout(held, messageTimeout, async () => handler(held));
      });
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
