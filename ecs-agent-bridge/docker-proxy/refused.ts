/** That Docker did not do what was asked, and how the client is told. */

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

  /** In Docker's own bytes, unless it was asked in a version whose errors have another form than the client's. */
  async tell(exchange: Exchange): Promise<boolean> {
    const { status, bytes, data } = this.#answer;
    const isOther = takesPlainErrors(exchange.request.target) && recordIn(data) !== undefined;
    return isOther ? await exchange.refuse(status, this.message) : await exchange.reply(bytes);
  }
}

/** @returns undefined when it is no object in JSON */
export function recordIn(data: Buffer): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(data.toString());
    return isRecord(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
