/**
 * Handles the calls of Docker's API that create, start and change hosted containers. The service creates such a
 * container with the same code as its own, and it never gets more than `accepted-calls.ts` allows. All other calls are
 * passed on.
 *
 * INVARIANTS
 * - A container that fails to start, for whatever reason, leaves nothing behind.
 * - The client gets Docker's own answer, in the client's version of the API.
 */

import { existsSync } from 'node:fs';
import type { HostedContainer } from '../../container/container.ts';
import { createRule } from '../../container/creation/accepted-calls.ts';
import { refusal } from '../../container/creation/accepted-fields.ts';
import { type CreateBody, checkCreateBody, IDENTIFYING_PORT } from '../../container/creation/create-body.ts';
import { CGROUPS } from '../../container/host-paths.ts';
import type { ContainerId } from '../../container/identity.ts';
import { takeDown } from '../../container/take-down.ts';
import type { Tracker } from '../../container/tracker.ts';
import { removeUnanswered } from '../../container/unanswered.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { DeadlineError, withDeadline } from '../../lifetime/deadline.ts';
import { Changes, rename, restart, sendInstead } from './changes.ts';
import type { Exchange, Handler } from './connection.ts';
import { type Answer, Lost, Unreachable } from './engine.ts';
import { complete, inNeededVersion, isInteractive, networkOf, purposeOf } from './interactive-creates.ts';
import { parametersOf, type RequestHead } from './message-head.ts';
import { byId, checkName, type Find, finder, type Hosted, type Named } from './named.ts';
import { rewritten } from './own-messages.ts';
import { foldBody, LONGEST_BODY, readBody } from './read-body.ts';
import { Refused, recordIn } from './refused.ts';

/** The time limit in milliseconds for Docker to start a container. */
const LONGEST_START = 60_000;

/** A created container, and the answer for its client. */
interface Made {
  readonly container: HostedContainer;
  readonly answer: Answer;
}

export interface HostedCallsOptions {
  readonly tracker: Tracker;
  /** Runs the creation or the start of a container, if the service accepts it. @throws {ServiceError} `service.*` */
  readonly pass: <R>(work: () => Promise<R>) => Promise<R>;
}

export class HostedCalls {
  readonly #tracker: Tracker;
  readonly #pass: HostedCallsOptions['pass'];
  readonly #find: Find;
  /** Containers that are being created or started. */
  readonly #coming = new Map<ContainerId, Promise<unknown>>();

  readonly #handlers: Readonly<
    Record<string, (exchange: Exchange, ref: string, query: string) => Promise<boolean>>
  >;

  constructor({ tracker, pass }: HostedCallsOptions) {
    this.#tracker = tracker;
    this.#pass = pass;
    this.#find = finder(tracker.host);
    const changes = new Changes(tracker.host, this.#find);
    this.#handlers = {
      'POST containers start': (exchange, ref, query) => this.#start(exchange, ref, query),
      'POST containers restart': byId(this.#find, restart),
      'POST containers rename': byId(this.#find, rename),
      'POST containers update': byId(this.#find, (exchange, named) => changes.update(exchange, named)),
      'POST containers exec': byId(this.#find, (exchange, named) => changes.exec(exchange, named)),
      'POST networks connect': (exchange, ref) => changes.connect(exchange, ref),
      'PUT containers archive': byId(this.#find, (exchange, named, query) =>
        changes.archive(exchange, named, query),
      ),
    };
  }

  /** Returns the handler of a call; undefined: this class does not handle it. */
  handlerOf({ method, target, fields }: RequestHead): Handler | undefined {
    const [path = '', query = ''] = target.split(/\?(.*)/s);
    const [, call = ''] = /^(?:\/v[\d.]+)?(\/.*)$/s.exec(path) ?? [];
    if (isHidden(call, fields))
      return (exchange) => exchange.refuse(400, 'calls in HTTP/2 are not looked at');
    if (method === 'POST' && call === '/containers/create')
      return (exchange) => this.#create(exchange, query);
    // Docker accepts more than one path segment as a name: a container's name, and that of a link in it.
    const [, kind, ref = '', verb] = /^\/(containers|networks)\/(.+)\/(\w+)$/s.exec(call) ?? [];
    const handle = this.#handlers[`${method} ${kind} ${verb}`];
    return handle && ((exchange) => this.#answer(exchange, () => handle(exchange, ref, query)));
  }

  async #create(exchange: Exchange, query: string): Promise<boolean> {
    const sent = await exchange.read(LONGEST_BODY);
    return await this.#answer(exchange, async () => {
      const read = readBody(sent);
      if (!read || !isInteractive(read.tree)) return await exchange.forward(sent);
      checkName(query);
      const body = foldBody(read, sent, createRule) as Record<string, unknown>;
      // The end of the service waits until a creation in progress is undone.
      const host = () => this.#tracker.lifetime.track('making a container', this.#host(exchange, body));
      const { container, answer } = await this.#pass(host);
      const isTold = await exchange.reply(answer.bytes);
      if (!isTold) await this.#takeDown(container, 'its client has gone');
      return isTold;
    });
  }

  async #host(exchange: Exchange, given: Record<string, unknown>): Promise<Made> {
    const { host } = this.#tracker;
    const body = complete(checkCreateBody(given), host.paths);
    const shared = await this.#sharedBy(body);
    const container = this.#tracker.begin(purposeOf(body));
    const make = async (): Promise<Answer> => {
      const prepared = await container.prepare(body, { shared });
      exchange.signal.throwIfAborted();
      const answer = await unlessGone(container, askToMake(exchange, prepared.body));
      await container.made(dockerIdIn(answer), prepared);
      exchange.signal.throwIfAborted();
      return answer;
    };
    try {
      return { container, answer: await this.#alone(container.id, make()) };
    } catch (error) {
      if (error instanceof Lost) await removeUnanswered(host.docker, host.hostId, container.id);
      await this.#takeDown(container, `could not be made: ${messageOf(error)}`);
      throw error;
    }
  }

  /** A client that wants to start it waits until the work is done. */
  async #alone<T>(id: ContainerId, work: Promise<T>): Promise<T> {
    this.#coming.set(id, work);
    try {
      return await work;
    } finally {
      this.#coming.delete(id);
    }
  }

  /** @returns the identifying host port of the container whose network it shares, if any */
  async #sharedBy(body: CreateBody): Promise<number | undefined> {
    const other = networkOf(body);
    if (other === undefined) return undefined;
    const port = (await this.#tracker.host.docker.inspect(other))?.ports.get(IDENTIFYING_PORT);
    if (port === undefined) throw new ServiceError('create.no_identifying_port', {});
    return port;
  }

  async #start(exchange: Exchange, ref: string, query: string): Promise<boolean> {
    const waiting = this.#waiting(ref);
    if (waiting) return await this.#startOne(exchange, waiting, query);
    const start = async (pinned: Exchange, { hosted }: Named) => {
      const found = hosted && (await this.#settled(hosted));
      return found ? await this.#startOne(pinned, this.#startable(found), query) : await pinned.forward();
    };
    return await byId(this.#find, start)(exchange, ref, query);
  }

  /** @param container undefined if it runs: Docker answers */
  async #startOne(
    exchange: Exchange,
    container: HostedContainer | undefined,
    query: string,
  ): Promise<boolean> {
    if ([...parametersOf(query).keys()].some((name) => /^checkpoint/i.test(name)))
      throw refusal('checkpoint', 'of processes');
    if (!container) return await sendInstead(exchange, '');
    const begin = () => this.#alone(container.id, this.#begin(exchange, container));
    const { bytes } = await this.#pass(begin);
    return await exchange.reply(bytes);
  }

  /** A created container that has not been started, named by its id. Docker knows nothing more about it. */
  #waiting(ref: string): HostedContainer | undefined {
    const container = this.#tracker.byDockerId(ref as DockerId);
    return !container || container.isStarted || this.#coming.has(container.id) ? undefined : container;
  }

  /** @returns undefined if it runs: Docker answers @throws {ServiceError} `container.ended` */
  #startable(found: Hosted): HostedContainer | undefined {
    const container = this.#tracker.byDockerId(found.dockerId);
    if (container?.isStarted && found.isRunning) return undefined;
    if (!container || container.isStarted) throw new ServiceError('container.ended', { id: found.id });
    return container;
  }

  async #begin(exchange: Exchange, container: HostedContainer): Promise<Answer> {
    const { request } = exchange;
    const begun: { answer?: Answer } = {};
    try {
      await container.start(async () => {
        const answer = await inTime(exchange.ask(rewritten(request, request.target, Buffer.alloc(0))));
        if (answer.status !== 204) throw new Refused(answer);
        begun.answer = answer;
      });
      return begun.answer as Answer;
    } catch (error) {
      // It ran, if only briefly, as it would have without this service.
      const hasEnded = error instanceof ServiceError && error.code === 'create.ended_at_once';
      if (begun.answer && hasEnded) return begun.answer;
      // Docker has not received the request, so a retry may succeed.
      if (error instanceof Unreachable) throw error;
      await this.#takeDown(container, `could not be started: ${messageOf(error)}`);
      throw error;
    }
  }

  async #takeDown(container: HostedContainer, why: string): Promise<void> {
    const { docker } = this.#tracker.host;
    await takeDown(container, this.#tracker, why, (id) => docker.remove(id));
  }

  /** Resolves when neither its creation nor its start is in progress. */
  async #settled(found: Hosted): Promise<Hosted | undefined> {
    for (let one: Hosted | undefined = found; ; one = (await this.#find(one.dockerId))?.hosted) {
      const coming = one && this.#coming.get(one.id);
      if (!one || !coming) return one;
      await coming.catch(() => {});
    }
  }

  /** @param work answers the call or passes it on; what it throws is sent to the client */
  async #answer(exchange: Exchange, work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work();
    } catch (error) {
      const cause = error instanceof ServiceError ? error.cause : error;
      if (cause instanceof Refused) return await cause.tell(exchange);
      if (!(error instanceof ServiceError)) throw error;
      if (error.code === 'docker.unavailable') throw new Unreachable(error.message, { cause: error });
      return await exchange.refuse(error.row.status, error.message);
    }
  }
}

/** @throws {Refused} */
async function askToMake(exchange: Exchange, amended: CreateBody): Promise<Answer> {
  const { request } = exchange;
  const hasCgroups2 = existsSync(`${CGROUPS}/cgroup.controllers`);
  const { target, body } = inNeededVersion(request.target, amended, hasCgroups2);
  const answer = await exchange.ask(rewritten(request, target, Buffer.from(JSON.stringify(body))));
  if (answer.status !== 201) throw new Refused(answer);
  return answer;
}

/** Waits for Docker's answer, unless the container ends first. @throws {Lost} */
async function unlessGone<T>({ gone }: HostedContainer, asked: Promise<T>): Promise<T> {
  const ended = gone.then(() => {
    throw new Lost('the container was ended before Docker had made it');
  });
  return await Promise.race([asked, ended]);
}

/** The end of the container waits for this, so it has a time limit. @throws {Lost} */
async function inTime<T>(asked: Promise<T>): Promise<T> {
  try {
    return await withDeadline(LONGEST_START, 'starting the container', () => asked);
  } catch (error) {
    throw error instanceof DeadlineError ? new Lost(error.message) : error;
  }
}

function dockerIdIn({ data }: Answer): DockerId {
  const { Id: id } = recordIn(data) ?? {};
  if (typeof id !== 'string' || !/^[0-9a-f]{64}$/.test(id)) throw new Lost('Docker did not say what it made');
  return id as DockerId;
}

/**
 * Whether the connection would switch to HTTP/2. Docker needs HTTP/2 for builds; for other calls, it would hide them.
 */
function isHidden(call: string, fields: RequestHead['fields']): boolean {
  const upgrade = (fields.get('upgrade') ?? []).join().toLowerCase();
  return /\bh2c\b/.test(upgrade) && !['/session', '/grpc'].includes(call);
}
