/**
 * The two ways to end: a requested stop, or a death. Everything that can end the process and that JavaScript can see
 * becomes one of them. A second cause never interrupts the cleanup of the first.
 */

import type { EcsAgent } from '../ecs-agent-bridge/agent/ecs-agent.ts';
import { messageOf } from '../errors/service-error.ts';
import type { Gate } from '../httpserver/gate.ts';
import type { Hosted, Hosting } from '../httpserver/hosting.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Nodes } from '../managed-nodes/nodes.ts';
import type { UserConfigs } from '../user-configs/user-configs.ts';
import type { Heeding } from './notices/heeding.ts';
import { concerned } from './observe.ts';
import { Patience } from './patience.ts';
import type { Presence } from './presence.ts';
import type { Reporting } from './reporting.ts';

export type Cause =
  | { readonly kind: 'asked'; readonly by: NodeJS.Signals | 'draining' | 'EC2' }
  | { readonly kind: 'died'; readonly error: unknown };

/**
 * Time limits in milliseconds: for requests in progress, for the ECS agent to notice that its tasks have ended, and for
 * the upload of saved user configs.
 */
const REQUESTS = 10_000;
const TASKS = 30_000;
const UPLOADS = 30_000;

/** The cause with which containers end. */
const ENDS = { asked: 'service-stopped', died: 'service-died', taken: 'ec2-notice' } as const;

export interface WatchedEnd {
  /** Resolves with the first cause. */
  readonly cause: Promise<Cause>;
  /** Resolves when the service must drain: on SIGUSR2. */
  readonly drain: Promise<void>;
  /** To be called when the start is complete. From then on, SIGPWR is a cause: it asks for a hand-over. */
  started(): void;
  /** To be called when the cause is known. From then on, errors are only logged. */
  known(): void;
  /** To be called when the end is complete and an empty event loop is no error. */
  over(): void;
}

/**
 * Installs handlers for everything that can end the process.
 * @param canHandOver whether somebody starts it again when it hands over because of SIGPWR
 */
export function watchForEnd(log: Logger, canHandOver = false): WatchedEnd {
  const { promise, resolve } = Promise.withResolvers<Cause>();
  let known = false;
  for (const by of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(by, () => {
      log.info({ signal: by }, 'asked to stop');
      known = true;
      resolve({ kind: 'asked', by });
    });
  }
  let isStarted = false;
  process.on('SIGPWR', (by) => {
    log.info({ signal: by, isStarted }, 'asked to hand over');
    if (isStarted && canHandOver) resolve({ kind: 'asked', by });
  });
  const drain = Promise.withResolvers<void>();
  process.on('SIGUSR2', (by) => {
    log.info({ signal: by }, 'asked to drain');
    drain.resolve();
  });
  const die = (error: unknown) => {
    if (known) log.error({ error }, 'an uncaught error while the service ends');
    known = true;
    process.exitCode = 1;
    resolve({ kind: 'died', error });
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  // Otherwise Node would exit here without any cleanup.
  const starve = () => die(new Error('the process has nothing left to wait for'));
  process.once('beforeExit', starve);
  return {
    cause: promise,
    drain: drain.promise,
    started: () => {
      isStarted = true;
    },
    known: () => {
      known = true;
    },
    over: () => process.off('beforeExit', starve),
  };
}

/** The parts to end; `hosting` is undefined until the start has reached it. */
export interface Ended {
  readonly root: Lifetime;
  readonly starting: AbortController;
  readonly gate: Gate<Hosting>;
  readonly hosting: Hosted | undefined;
  readonly agent: Pick<EcsAgent, 'settled' | 'stop'> | undefined;
  readonly nodes?: Pick<Nodes, 'finish'> | undefined;
  readonly userConfigs: Pick<UserConfigs, 'finish'> | undefined;
  readonly heeding: Pick<Heeding, 'left' | 'leftToSave' | 'finish'>;
  readonly presence: Pick<Presence, 'lifetime'> | undefined;
  /** The number of containers whose users' files exist only on this host. */
  countUnsaved(): Promise<number>;
  readonly reporting: Reporting;
  readonly log: Logger;
}

/**
 * Ends everything and sets the exit code: 0 only after a requested stop that left nothing behind.
 * @param isTakingOver whether the clean-up after this process ends what the previous service has handed over
 * @returns the number of containers that keep running, and what else is left on this host
 */
export async function endService(cause: Cause, service: Ended, isTakingOver = () => false): Promise<number> {
  const { root, starting, gate, reporting, log } = service;
  const why = cause.kind === 'asked' ? `asked to stop by ${cause.by}` : `died: ${messageOf(cause.error)}`;
  starting.abort(new Error(why));
  gate.close();
  if (cause.kind === 'died') await tellDeath(cause.error, service);
  log.info({ cause: cause.kind }, 'ending');
  if (cause.kind === 'asked') await finishRequests(gate, log);
  using stop = new LastWords(cause, service);
  if (cause.kind === 'died') await service.agent?.stop();
  const alive = cause.kind === 'died' ? await leaveClaimed(why, service) : 0;
  const dockerIds = (service.hosting?.tracker.list() ?? []).flatMap(({ dockerId }) => dockerId ?? []);
  const code = cause.kind === 'asked' && cause.by === 'EC2' ? ENDS.taken : ENDS[cause.kind];
  const nodes = cause.kind === 'asked' ? service.nodes?.finish() : undefined;
  await service.hosting?.tracker.endAll({ code, text: why });
  await nodes;
  if (cause.kind === 'asked') {
    using late = new Patience((waited) => Math.min(TASKS - waited, service.heeding.left ?? TASKS));
    await service.agent?.settled(dockerIds, late.signal);
  }
  await service.agent?.stop();
  await service.hosting?.kept.removeAll();
  // This may retry files that could not be saved before; they can still be uploaded.
  await root.holdings.retry();
  const saves = await finishSaves(service);
  if (cause.kind === 'asked') await stop.tell();
  if (cause.kind === 'asked' && (await service.countUnsaved()) === 0) await service.heeding.finish();
  // The clean-up after this process needs the owner of what could not be released, or was not taken over.
  if (alive > 0 || root.holdings.hasFailed || isTakingOver())
    await service.presence?.lifetime.leave(new Error(why));
  const failures = await root.end(new Error(why));
  await root.holdings.retry();
  const held = root.holdings.list();
  for (const { kind, what, owner, lifetime } of held) {
    log.error({ kind, what, owner: lifetime, ...concerned(owner) }, 'a resource is still held at the end');
  }
  if (cause.kind === 'died' || failures.length > 0 || held.length > 0) process.exitCode = 1;
  const left = alive + held.length + saves + (await service.countUnsaved());
  if (cause.kind === 'died') await reporting.terminateInstance(left);
  log.info({ exitCode: Number(process.exitCode ?? 0) }, 'ended');
  return left;
}

/** Reports a stop: at its end, or earlier if EC2 will reclaim the host soon, whatever is in progress. */
class LastWords implements Disposable {
  readonly #reporting: Reporting;
  readonly #late: Patience;
  #told: Promise<void> | undefined;

  constructor({ kind }: Cause, { reporting, heeding }: Ended) {
    this.#reporting = reporting;
    // A death was reported before.
    const left = () => (kind === 'asked' ? heeding.left : undefined) ?? Number.POSITIVE_INFINITY;
    this.#late = new Patience(left);
    const { signal } = this.#late;
    signal.addEventListener('abort', () => void this.tell());
    if (signal.aborted) void this.tell();
  }

  tell(): Promise<void> {
    this.#told ??= this.#reporting.tellStop();
    return this.#told;
  }

  [Symbol.dispose](): void {
    this.#late[Symbol.dispose]();
  }
}

/**
 * If EC2 reclaims the host, everything that is not in S3 by then is lost, so the upload gets all of the remaining time.
 * @returns the number of saves that are not uploaded
 */
async function finishSaves({ userConfigs, heeding }: Ended): Promise<number> {
  using late = new Patience((waited) => Math.max(heeding.leftToSave ?? 0, UPLOADS - waited));
  return (await userConfigs?.finish(late.signal)) ?? 0;
}

/** Reports the death before anything slow happens: its cause, and the running containers. */
async function tellDeath(error: unknown, { root, hosting, reporting, log }: Ended): Promise<void> {
  const containers = (hosting?.tracker.list() ?? []).map((container) => container.describe());
  const held = root.holdings.list().length;
  await reporting.tellDeath(error, () => log.fatal({ error, containers, held }, messageOf(error)));
}

/**
 * Users' work outlives the service. The next process finds in the ledger how to end these containers.
 * @returns the number of containers that keep running
 */
async function leaveClaimed(why: string, { hosting, log }: Ended): Promise<number> {
  const claimed = (await hosting?.tracker.endUnclaimed({ code: ENDS.died, text: why })) ?? [];
  hosting?.tracker.letGo();
  for (const container of claimed) {
    log.warn(container.describe(), 'a container in use keeps running');
    await container.leave(why);
    if (container.dockerId) await hosting?.kept.leave(container.dockerId);
  }
  return claimed.length;
}

async function finishRequests(gate: Gate<Hosting>, log: Logger): Promise<void> {
  try {
    await withDeadline(REQUESTS, 'finishing requests', () => gate.idle());
  } catch (error) {
    log.error({ error }, 'aborting the requests in progress');
  }
}
