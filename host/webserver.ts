/** The webserver that this host reports to: its two calls and the meaning of their answers. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Answer, HttpClient } from '../outgoing/http-client.ts';
import type { Memory } from './memory.ts';
import type { HostFacts } from './metadata.ts';

/** The time limit for one call, in milliseconds. */
const CALL = 10_000;

export interface WebserverOptions {
  readonly http: HttpClient;
  readonly url: URL;
  /** The JSON type in which `IsDyingHeartbeat` and `IsDraining` are sent. */
  readonly dyingAs: 'string' | 'boolean';
}

export interface Beat {
  readonly token: string;
  readonly instanceId: string;
  /** Counts from 0 since the start of this process. */
  readonly number: number;
  readonly memory: Memory;
  readonly dying: boolean;
  readonly draining: boolean;
}

export class Webserver {
  readonly #options: WebserverOptions;

  constructor(options: WebserverOptions) {
    this.#options = options;
  }

  /**
   * Registers this host.
   * @returns the token for its heartbeats
   * @throws {ServiceError} `webserver.failed` if there is no answer, or an answer without a token
   */
  async handshake(facts: HostFacts, signal: AbortSignal): Promise<string> {
    const answer = await this.#post('auth', signal, {
      InstanceID: facts.instanceId,
      InstanceType: facts.instanceType,
      Region: facts.region,
      AWSAmiID: facts.amiId,
    });
    const token = answer.status === 200 ? tokenIn(answer.body) : undefined;
    if (!token) throw failure('registration', `it answered with status ${answer.status} and no token`);
    return token;
  }

  /**
   * Sends a heartbeat.
   * @returns false if the webserver does not know this host or its token
   * @throws {ServiceError} `webserver.failed` if there is no answer, or any other answer
   */
  async heartbeat(beat: Beat, signal: AbortSignal): Promise<boolean> {
    const { token, instanceId, number, memory, dying, draining } = beat;
    const { status } = await this.#post('heartbeat', signal, {
      AuthToken: token,
      Timestamp: timestamp(new Date()),
      HeartbeatNumber: number,
      InstanceID: instanceId,
      TotalRAMinKB: String(memory.total),
      FreeRAMinKB: String(memory.free),
      AvailRAMinKB: String(memory.available),
      IsDyingHeartbeat: this.#flag(dying),
      // The field is sent only while draining, so that a webserver without support for it gets the usual heartbeat.
      ...(draining && { IsDraining: this.#flag(true) }),
    });
    if (status !== 200 && status !== 404) throw failure('heartbeat', `it answered with status ${status}`);
    return status === 200;
  }

  #flag(value: boolean): boolean | string {
    return this.#options.dyingAs === 'boolean' ? value : value ? 'True' : 'False';
  }

  async #post(name: 'auth' | 'heartbeat', signal: AbortSignal, body: object): Promise<Answer> {
    const { http, url } = this.#options;
    const target = new URL(url);
    target.pathname = `${url.pathname.replace(/\/*$/, '')}/host_service/${name}`;
    const headers = { 'content-type': 'application/json' };
    const question = {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      milliseconds: CALL,
      signal,
    } as const;
    try {
      return await http.ask(target, question);
    } catch (error) {
      signal.throwIfAborted();
      throw failure(name === 'auth' ? 'registration' : 'heartbeat', messageOf(error));
    }
  }
}

function failure(what: string, why: string): ServiceError {
  return new ServiceError('webserver.failed', { what, why });
}

/** Accepts only a single word as the token, because the log redacts this text in each of its lines. */
function tokenIn(body: string): string | undefined {
  try {
    const { AuthToken } = JSON.parse(body);
    return typeof AuthToken === 'string' && /^[\w-]{8,256}$/.test(AuthToken) ? AuthToken : undefined;
  } catch {
    return undefined;
  }
}

/** Go's default format of a time. The webserver has never received another one, although it does not read it. */
function timestamp(date: Date): string {
  const [day, time] = date.toISOString().split(/[TZ]/);
  return `${day} ${time} +0000 UTC m=+${(performance.now() / 1000).toFixed(9)}`;
}
