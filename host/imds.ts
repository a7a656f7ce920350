/**
 * A client of EC2's instance metadata service that uses IMDSv2 only. Every request carries a session token, and none is
 * sent without one. A token is reused until the service refuses it.
 */

import type { Answer, HttpClient, Question } from '../outgoing/http-client.ts';
import { momentOf } from '../parsing/moment.ts';

/** The lifetime of a token in seconds, the longest possible. Source: Amazon EC2 User Guide, "Use IMDSv2". */
const TOKEN_SECONDS = '21600';
/** The limit for one request, in milliseconds. */
const QUESTION = 1000;
/** The form of a token. */
const TOKEN = /^[\w.:/=+-]{1,512}$/;

export interface Item {
  readonly text: string;
  /** Milliseconds since 1970 by the clock of the metadata service; undefined if it does not send the time. */
  readonly at: number | undefined;
}

export class Imds {
  readonly endpoint: URL;
  readonly #http: Pick<HttpClient, 'ask'>;
  #token: Promise<string> | undefined;

  constructor(http: Pick<HttpClient, 'ask'>, endpoint: URL) {
    this.#http = http;
    this.endpoint = endpoint;
  }

  /**
   * @param path below `meta-data/`
   * @returns undefined if the service does not have the item
   * @throws Error when there is no answer in time, or any other answer
   */
  async find(path: string, signal: AbortSignal): Promise<Item | undefined> {
    this.#token ??= this.#askToken(signal);
    const asked = this.#token;
    const forget = () => {
      if (this.#token === asked) this.#token = undefined;
    };
    asked.catch(forget);
    const headers = { 'x-aws-ec2-metadata-token': await asked };
    const answer = await this.#ask(`meta-data/${path}`, { method: 'GET', headers, signal });
    if (answer.status === 401) forget();
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new Error(`${path} returned status ${answer.status}`);
    return { text: answer.body, at: momentOf(answer.headers.date) };
  }

  async #askToken(signal: AbortSignal): Promise<string> {
    const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_SECONDS };
    const { status, body } = await this.#ask('api/token', { method: 'PUT', headers, signal });
    if (status !== 200) throw new Error(`api/token returned status ${status}`);
    if (!TOKEN.test(body)) throw new Error('api/token returned an unexpected value');
    return body;
  }

  #ask(path: string, question: Omit<Question, 'milliseconds'>): Promise<Answer> {
    return this.#http.ask(new URL(`/latest/${path}`, this.endpoint), {
      ...question,
      milliseconds: QUESTION,
    });
  }
}
