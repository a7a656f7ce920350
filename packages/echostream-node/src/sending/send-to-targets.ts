/** Sends messages over several edges, and reports the result of each message on each edge. */

import { EchoStreamError, type ErrorCode } from '../errors.ts';
import type { Message } from '../message.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Target } from './target.ts';

export interface SendResult {
  readonly message: Message;
  /** The name of the node that the message was sent to. */
  readonly target: string;
  /** SQS's id of the message. */
  readonly messageId?: string | undefined;
  /** Why the message could not be sent. */
  readonly error?: EchoStreamError;
}

/** Some messages could not be sent. The code is that of the first failure. */
export class SendError extends EchoStreamError {
  /** Includes the messages that were sent. */
  readonly results: readonly SendResult[];

  constructor(first: EchoStreamError, results: readonly SendResult[]) {
    const failed = results.filter(({ error }) => error).length;
    super(first.code, `${failed} of ${results.length} messages were not sent. The first: ${first.message}`, {
      cause: first,
    });
    this.name = 'SendError';
    this.results = results;
  }
}

/** @throws SendError, EchoStreamError UNKNOWN_TARGET */
export async function sendToTargets(
  messages: Iterable<Message>,
  names: readonly string[] | undefined,
  all: ReadonlyMap<string, Target>,
  telemetry: Telemetry,
): Promise<readonly SendResult[]> {
  const targets = choose(names, all);
  const sending: Promise<SendResult>[] = [];
  for (const message of messages) {
    for (const [name, target] of targets) sending.push(sendTo(name, target, message, telemetry));
  }
  const results = await Promise.all(sending);
  const first = results.find(({ error }) => error)?.error;
  if (first) throw new SendError(first, results);
  return results;
}

function choose(
  names: readonly string[] | undefined,
  all: ReadonlyMap<string, Target>,
): readonly (readonly [string, Target])[] {
  if (names === undefined) return [...all];
  return names.map((name) => {
    const target = all.get(name);
    if (target) return [name, target];
    const known = [...all.keys()].join(', ') || 'none';
    throw new EchoStreamError('UNKNOWN_TARGET', `The node has no target "${name}". Its targets: ${known}.`);
  });
}

async function sendTo(
  name: string,
  target: Target,
  message: Message,
  telemetry: Telemetry,
): Promise<SendResult> {
  try {
    const messageId = await telemetry.sending(name, (trace) => target.send(message, trace));
    telemetry.sent(1, { target: name, outcome: 'sent' });
    return { message, target: name, messageId };
  } catch (error) {
    telemetry.sent(1, { target: name, outcome: 'failed' });
    return { message, target: name, error: asError(error) };
  }
}

function asError(error: unknown): EchoStreamError {
  if (error instanceof EchoStreamError) return error;
  const code: ErrorCode = 'SEND_FAILED';
  return new EchoStreamError(code, String(error), { cause: error });
}
