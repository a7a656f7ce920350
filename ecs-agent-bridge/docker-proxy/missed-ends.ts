/**
 * Which containers have ended while Docker was away. With live-restore they run and end without it, and when it is
 * back it tells of no such end: whoever follows all events, as the ECS agent does, would take them for running.
 */

import { withDeadline } from '../../lifetime/deadline.ts';
import { ask, connectEngine, Lost } from './engine.ts';

/** Milliseconds for what Docker is asked when it is back; a container that it cannot look at must not stop all events. */
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

/** Of one client, which hears of all starts and ends. */
export class MissedEnds {
  readonly #socket: string;
  readonly #version: string;
  /** The docker ids of those that run, as far as the client was told. */
  #running = new Set<string>();

  /** @param socket of the Docker Engine @param version the beginning of the client's path, such as `/v1.21`, or empty */
  constructor(socket: string, version: string) {
    this.#socket = socket;
    this.#version = version;
  }

  /** Takes note of what the client is told. @param events whole ones, each on a line of its own */
  note(events: string): void {
    for (const { Action, Actor } of parse(events)) {
      if (Action === 'start') this.#running.add(Actor.ID);
      if (Action === 'die') this.#running.delete(Actor.ID);
    }
  }

  /**
   * To be called when a stream of events is opened, before any of it is passed on.
   * @param told nanoseconds since 1970 up to which everything was told @param signal aborts when the client has gone
   * @returns what Docker does not tell, as it would
   */
  async find(told: bigint, signal: AbortSignal): Promise<string> {
    try {
      return await withDeadline(PATIENCE, 'looking who has ended', (late) =>
        this.#find(told, AbortSignal.any([late, signal])),
      );
    } catch {
      // Docker has gone again, or is not well: they are looked for the next time.
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

  /** @returns empty: there is no such container @throws {Unreachable} @throws {Lost} */
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

/** The starts and ends among events. */
function parse(events: string): Event[] {
  const lines = events.split('\n').filter((line) => /"Action":"(start|die)"/.test(line));
  return lines.map((line) => JSON.parse(line) as Event);
}

/** As Docker takes a moment: with a fraction of nine digits. */
export function secondsOf(nanoseconds: bigint): string {
  const digits = String(nanoseconds);
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** Source: events as Docker 20.10 writes them. */
function eventOf({ Id: id, Name, Config, State }: Inspected, told: bigint): string {
  const { Image: image, Labels: labels } = Config;
  // Docker does not know when each has ended.
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
