/**
 * Finds containers that ended while Docker was down. With live-restore, containers run and end without Docker, and
 * Docker reports no such end afterwards. A client that follows all events, such as the ECS agent, would consider them
 * running.
 */

import { withDeadline } from '../../lifetime/deadline.ts';
import { ask, connectEngine, Lost } from './engine.ts';

/**
 * The time limit in milliseconds for questions to Docker. One container that cannot be inspected must not block all
 * events.
 */
const PATIENCE = 10_000;

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Config: { readonly Image: string; readonly Labels: Readonly<Record<string, string>> | null };
  readonly State: { readonly Running: boolean; readonly ExitCode: number; readonly FinishedAt: string };
}

interface Event {
  readonly Action: string;
  readonly Actor: { readonly ID: string };
}

/** For one client that receives all starts and ends. */
export class MissedEnds {
  readonly #socket: string;
  readonly #version: string;
  /** The docker ids of the running containers, according to the client's events. */
  #running = new Set<string>();

  /** @param socket of the Docker Engine @param version the prefix of the client's paths, such as `/v1.21`, or empty */
  constructor(socket: string, version: string) {
    this.#socket = socket;
    this.#version = version;
  }

  /** Records what the client is told. @param events complete ones, one per line */
  note(events: string): void {
    for (const { Action, Actor } of parse(events)) {
      if (Action === 'start') this.#running.add(Actor.ID);
      if (Action === 'die') this.#running.delete(Actor.ID);
    }
  }

  /**
   * To be called when an event stream is opened, before any event is passed on.
   * @param told events up to this time, in nanoseconds since 1970, have been sent
   * @param signal aborts when the client has disconnected
   * @returns the missing events in Docker's form
   */
  async find(told: bigint, signal: AbortSignal): Promise<string> {
    try {
      return await withDeadline(PATIENCE, 'looking who has ended', (late) =>
        this.#find(told, AbortSignal.any([late, signal])),
      );
    } catch {
      // Docker is unreachable again or unwell, so the next call searches again.
      return '';
    }
  }

  async #find(told: bigint, signal: AbortSignal): Promise<string> {
    const listed = JSON.parse(await this.#ask('/containers/json', signal)) as { readonly Id: string }[];
    const running = new Set(listed.map(({ Id }) => Id));
    const missing = [...this.#running].filter((id) => !running.has(id));
    const events = missing.length > 0 ? await this.#endsOf(missing, told, signal) : [];
    this.#running = running;
    return events.join('');
  }

  async #endsOf(missing: readonly string[], told: bigint, signal: AbortSignal): Promise<string[]> {
    const filters = encodeURIComponent('{"type":["container"],"event":["die"]}');
    const until = Date.now() / 1000;
    const path = `/events?since=${secondsOf(told + 1n)}&until=${until}&filters=${filters}`;
    const known = parse(await this.#ask(path, signal)).map(({ Actor }) => Actor.ID);
    const events: string[] = [];
    for (const id of missing.filter((one) => !known.includes(one))) {
      const found = await this.#ask(`/containers/${id}/json`, signal);
      if (!found) continue;
      const inspected: Inspected = JSON.parse(found);
      if (!inspected.State.Running) events.push(eventOf(inspected, told));
    }
    return events;
  }

  /** @returns empty if there is no such container @throws {Unreachable} @throws {Lost} */
  async #ask(path: string, signal: AbortSignal): Promise<string> {
    const engine = await connectEngine(this.#socket);
    const leave = () => engine.socket.destroy();
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    try {
      const request = `GET ${this.#version}${path} HTTP/1.1\r\nHost: docker\r\n\r\n`;
      const { status, data } = await ask(engine, Buffer.from(request), { method: 'GET' });
      if (status !== 200 && status !== 404) throw new Lost(`Docker answered with status ${status}`);
      return status === 200 ? data.toString() : '';
    } finally {
      signal.removeEventListener('abort', leave);
      leave();
    }
  }
}

/** The starts and ends among the events. */
function parse(events: string): Event[] {
  const lines = events.split('\n').filter((line) => /"Action":"(start|die)"/.test(line));
  return lines.map((line) => JSON.parse(line) as Event);
}

/** In Docker's format: seconds with a fraction of nine digits. */
export function secondsOf(nanoseconds: bigint): string {
  const digits = String(nanoseconds);
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** Source: events as Docker 20.10 writes them. */
function eventOf({ Id: id, Name, Config, State }: Inspected, told: bigint): string {
  const { Image: image, Labels: labels } = Config;
  // Docker may not know when the container ended.
  const at = Math.max(Date.parse(State.FinishedAt), Number(told / 1_000_000n) + 1);
  return `${JSON.stringify({
    status: 'die',
    id,
    from: image,
    Type: 'container',
    Action: 'die',
    Actor: {
      ID: id,
      Attributes: { ...labels, exitCode: String(State.ExitCode), image, name: Name.replace(/^\//, '') },
    },
    scope: 'local',
    time: Math.floor(at / 1000),
    timeNano: at * 1_000_000,
  })}\n`;
}
