/** Docker refused a request. The client gets its answer. */

import { isRecord } from '../../parsing/json.ts';
import type { Exchange } from './connection.ts';
import type { Answer } from './engine.ts';
import { takesPlainErrors } from './own-messages.ts';

export class Refused extends Error {
  readonly #answer: Answer;

  constructor(answer: Answer) {
    const { message } = recordIn(answer.data) ?? {};
    super(typeof message === 'string' ? message : answer.data.toString().trim());
    this.#answer = answer;
  }

  /** Passes Docker's own bytes on, unless the request's version has another form of errors than the client's. */
  async tell(exchange: Exchange): Promise<boolean> {
    const { status, bytes, data } = this.#answer;
    const isOther = takesPlainErrors(exchange.request.target) && recordIn(data) !== undefined;
    return isOther ? await exchange.refuse(status, this.message) : await exchange.reply(bytes);
  }
}

/** @returns undefined if it is not a JSON object */
export function recordIn(data: Buffer): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(data.toString());
    return isRecord(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
