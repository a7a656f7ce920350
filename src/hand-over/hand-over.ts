/**
 * The third way to end: the service hands its host to the next one, and ends no container that the next one can adopt.
 * It serves until it is quiet, stores its descriptors, lets go of everything as it is, and writes down what the next one
 * cannot read elsewhere. Connections that come meanwhile wait in the listening sockets.
 *
 * A service that takes a host over and cannot complete that lets go of everything in the same way. The hand-over then
 * goes on with the next service, or becomes a stop or a crash; `bury` decides.
 */

import type { HostedContainer } from '../../container/container.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { messageOf } from '../../errors/service-error.ts';
import { withDeadline } from '../../lifetime/deadline.ts';
import type { Cause, Ended } from '../end.ts';
import type { Service } from '../service.ts';
import { VERSION } from '../version.ts';
import { isReplaced } from './programs.ts';
import { HANDED_OVER, type Restarter } from './restarter.ts';
import { writeHandOver } from './state.ts';

/**
 * Time limits in milliseconds: for requests and ends in progress while the service still serves, for requests that come
 * after that, and for a container that ends at that moment.
 */
const QUIET = 60_000;
const REQUESTS = 5_000;
const LETTING_GO = 1_000;

/** Why a container ends that cannot be handed over. */
const NOT_HANDED_OVER = {
  code: 'service-stopped',
  text: 'it was being created when the service was restarted',
} as const;
const WHY = 'the service hands its host over';

export type HandingOver = Pick<
  Service,
  | 'callers'
  | 'draining'
  | 'hosting'
  | 'warm'
  | 'userConfigs'
  | 'isStarted'
  | 'passing'
  | 'paths'
  | 'handOverStep'
> &
  Pick<Ended, 'root' | 'starting' | 'gate' | 'agent' | 'presence' | 'reporting' | 'log'>;

/**
 * Ends the service by a hand-over, if `cause` is a restart.
 * @returns the exit code; undefined if it must end in another way
 */
export async function endByHandOver(
  cause: Cause,
  service: HandingOver,
  restarter: Restarter | undefined,
): Promise<number | undefined> {
  const { isStarted, passing, log } = service;
  const isRestart = cause.kind === 'asked' && (await restarter?.restarts(cause.by)) === true;
  if (isStarted) {
    if (!isRestart || !restarter) return undefined;
    return (await handOver(service, restarter)) ? HANDED_OVER : undefined;
  }
  if (!passing.handed || !(isRestart || cause.kind === 'died')) return undefined;
  if (cause.kind === 'died') {
    const { error } = cause;
    log.error({ error }, `could not take the host over: ${messageOf(error)}`);
  }
  passing.giveUp();
  await service.agent?.stop();
  await service.callers?.leave(new Error(WHY));
  await letGo(service);
  return isRestart ? HANDED_OVER : 1;
}

/** @returns false if it is impossible; the service must stop then */
async function handOver(service: HandingOver, restarter: Restarter): Promise<boolean> {
  const { agent, callers, hosting, handOverStep, log } = service;
  log.info({ containers: hosting?.tracker.list().length }, 'handing the host over to the next service');
  if (!(await handOverStep('storing descriptors', () => store(service, restarter)))) return false;
  // Both take a while, and callers are served meanwhile.
  await handOverStep('becoming quiet', () => Promise.all([agent?.stop(), becomeQuiet(service)]));
  if (!(await handOverStep('passing terminals on', () => passOnTerminals(service)))) return false;
  await handOverStep('leaving callers', () => callers?.leave(new Error(WHY)));
  await handOverStep('finishing requests', () => finishRequests(service));
  await handOverStep('ending the rest', () => endTheOthers(service));
  // Containers may be new since then.
  if (!(await handOverStep('storing new descriptors', () => store(service, restarter)))) return false;
  if (!(await handOverStep('writing it down', () => writeDown(service)))) return false;
  await letGo(service);
  return true;
}

/** Afterwards, no request is accepted. */
async function finishRequests(service: HandingOver): Promise<void> {
  await inTime(REQUESTS, 'finishing requests', () => service.gate.idle(), service);
  service.gate.close();
  service.starting.abort(new Error(WHY));
}

/**
 * Terminals stop before their clients are disconnected, so everything that clients send until then is kept.
 * @returns whether their connections are in the store, as far as this process knows
 */
function passOnTerminals({ hosting, passing: { descriptors }, log }: HandingOver): boolean {
  try {
    hosting?.tracker.host.terminals.passOn((name, descriptor) => descriptors.passOn(name, descriptor));
    return true;
  } catch (error) {
    log.error(
      { error },
      `the connections of terminals cannot be kept, so this is a stop: ${messageOf(error)}`,
    );
    return false;
  }
}

/** @returns whether everything is in the store */
async function store({ passing, log }: HandingOver, restarter: Restarter): Promise<boolean> {
  const { store: kept, descriptors } = passing;
  try {
    kept.put(descriptors.offered);
    if (await restarter.holds(descriptors.offered.size)) return true;
    log.error(
      'the descriptors of this service do not fit into the descriptor store, so it stops without a hand-over',
    );
    kept.clear();
  } catch (error) {
    log.error(
      { error },
      `the descriptors of this service cannot be kept, so this is a stop: ${messageOf(error)}`,
    );
  }
  return false;
}

/** Waits for a moment without requests, and for containers that are ending or being made for a pool. */
async function becomeQuiet(service: HandingOver): Promise<void> {
  const { gate, hosting, warm } = service;
  await inTime(
    QUIET,
    'waiting for a quiet moment',
    async () => {
      await warm?.settle();
      const ending = () => hosting?.tracker.list().filter(isEnding) ?? [];
      for (let some = ending(); some.length > 0; some = ending())
        await Promise.all(some.map(({ gone }) => gone));
      await gate.idle();
    },
    service,
  );
}

function isEnding({ view }: HostedContainer): boolean {
  return view.state === 'ending';
}

async function inTime(
  milliseconds: number,
  what: string,
  work: () => Promise<unknown>,
  { log }: HandingOver,
): Promise<void> {
  try {
    await withDeadline(milliseconds, what, work);
  } catch (error) {
    log.warn({ why: messageOf(error) }, 'handing over nevertheless');
  }
}

/** Ends terminals without a connection, and containers that Docker has not created. They cannot be handed over. */
async function endTheOthers({ hosting, log }: HandingOver): Promise<void> {
  if (!hosting) return;
  const { tracker } = hosting;
  tracker.handOver();
  const others = tracker.list().filter(({ handed }) => !handed);
  const ends = others.map((container) => {
    log.warn(container.describe(), 'a container cannot be handed over, so it ends');
    return container.end(NOT_HANDED_OVER);
  });
  const terminals = tracker.host.terminals.list().filter(({ terminal }) => !terminal.isPassedOn);
  if (terminals.length > 0) log.warn({ terminals: terminals.length }, 'terminals end with the hand-over');
  await Promise.allSettled([...ends, ...terminals.map(({ end }) => end())]);
}

/** @returns whether the next service can read it */
async function writeDown(service: HandingOver): Promise<boolean> {
  const { hosting, warm, passing, draining, paths, log } = service;
  const { tracker, kept } = hosting as NonNullable<HandingOver['hosting']>;
  try {
    await writeHandOver(paths, {
      from: { pid: process.pid, version: VERSION },
      isReplaced: await isReplaced(),
      isDraining: draining.isFinal,
      containers: tracker.list().flatMap(({ handed }) => handed ?? []),
      kept: [...kept.ended],
      ...(warm && { pools: warm.handed }),
      terminals: await tracker.host.terminals.handed(),
      events: { ...tracker.host.events.handed, kept: [...tracker.host.events.handed.kept] },
      requests: await passing.requests.handed(),
      sessions: passing.sessionKey.handed,
    });
    return true;
  } catch (error) {
    log.error({ error }, `the host cannot be handed over, so this is a stop: ${messageOf(error)}`);
    return false;
  }
}

/** Detaches this process from everything that the next one adopts, and releases the rest. */
async function letGo(service: HandingOver): Promise<void> {
  const { root, starting, gate, hosting, userConfigs, presence, reporting, handOverStep, log } = service;
  const why = new Error(WHY);
  gate.close();
  starting.abort(why);
  hosting?.tracker.letGo();
  const containers = hosting?.tracker.list() ?? [];
  const kept = hosting?.kept.ended.map(({ dockerId }) => dockerId as DockerId) ?? [];
  await handOverStep('leaving terminals', () => hosting?.tracker.host.terminals.leave(why));
  await handOverStep('leaving containers', async () => {
    await Promise.all(containers.map((container) => leave(container, service)));
    for (const id of kept) await hosting?.kept.leave(id);
  });
  await handOverStep('stopping uploads', () => userConfigs?.leave());
  reporting.conclude();
  await handOverStep('leaving the rest', async () => {
    await presence?.lifetime.leave(why);
    await root.end(why);
  });
  for (const { kind, what } of root.holdings.list()) log.warn({ kind, what }, 'left to the next service');
  log.info('handed over');
}

async function leave(container: HostedContainer, service: HandingOver): Promise<void> {
  const { dockerId } = container;
  const left = container.leave(WHY);
  // The next service repeats whatever the end of a container is doing at this moment.
  if (isEnding(container)) await inTime(LETTING_GO, 'the end of a container', () => left, service);
  else await left;
  if (dockerId) await service.hosting?.kept.leave(dockerId);
}
