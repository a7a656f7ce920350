/**
 * The two ways to end, behind one function: asked to stop, or died. Whatever happens to the process that
 * JavaScript can see becomes one of them; a second cause never cuts the cleanup of the first one short.
 */

import { messageOf } from '../errors/service-error.ts';
import type { Gate } from '../httpserver/gate.ts';
import type { Hosted, Hosting } from '../httpserver/hosting.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { UserConfigs } from '../user-configs/user-configs.ts';
import { concerned } from './observe.ts';
import type { Reporting } from './reporting.ts';

export type Cause =
  | { readonly kind: 'asked'; readonly by: NodeJS.Signals }
  | { readonly kind: 'died'; readonly error: unknown };

/** Milliseconds for requests that are under way, and for saved user configs on their way to S3. */
const REQUESTS = 10_000;
const UPLOADS = 30_000;

export interface WatchedEnd {
  /** Resolves with the first cause. */
  readonly cause: Promise<Cause>;
  /** To be called when a cause is known: errors that come now cannot be one, and are logged. */
  known(): void;
  /** To be called when the end is over, and that nothing is left is as it should be. */
  over(): void;
}

/** Installs the handlers of everything that can end the process. */
export function watchForEnd(log: Logger): WatchedEnd {
  const { promise, resolve } = Promise.withResolvers<Cause>();
  let known = false;
  for (const by of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(by, () => {
      log.info({ signal: by }, 'asked to stop');
      known = true;
      resolve({ kind: 'asked', by });
    });
  }
  const die = (error: unknown) => {
    if (known) log.error({ error }, 'an error that nothing caught, while the service ends');
    known = true;
    process.exitCode = 1;
    resolve({ kind: 'died', error });
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  // Node would end here by itself, in the middle of everything.
  const starve = () => die(new Error('the process has nothing left to wait for'));
  process.once('beforeExit', starve);
  return {
    cause: promise,
    known: () => {
      known = true;
    },
    over: () => process.off('beforeExit', starve),
  };
}

/** What there is to end; `hosting` is undefined as long as the start has not got that far. */
export interface Ended {
  readonly root: Lifetime;
  readonly starting: AbortController;
  readonly gate: Gate<Hosting>;
  readonly hosting: Hosted | undefined;
  readonly userConfigs: Pick<UserConfigs, 'finish'> | undefined;
  readonly reporting: Reporting;
  readonly log: Logger;
}

/** Ends everything and sets the exit code: 0 only when asked to stop and nothing was left. */
export async function endService(cause: Cause, service: Ended): Promise<void> {
  const { root, starting, gate, reporting, log } = service;
  const why = cause.kind === 'asked' ? `asked to stop by ${cause.by}` : `died: ${messageOf(cause.error)}`;
  starting.abort(new Error(why));
  gate.close();
  if (cause.kind === 'died') await tellDeath(cause.error, service);
  log.info({ cause: cause.kind }, 'ending');
  if (cause.kind === 'asked') await finishRequests(gate, log);
  await service.hosting?.tracker.endAll(why);
  await service.hosting?.kept.removeAll();
  // Files that could not be saved, for one: what is saved now can still go to S3.
  await root.holdings.retry();
  await service.userConfigs?.finish(UPLOADS);
  if (cause.kind === 'asked') await reporting.tellStop();
  const failures = await root.end(new Error(why));
  await root.holdings.retry();
  const held = root.holdings.list();
  for (const { kind, what, owner } of held) {
    log.error({ kind, what, owner, ...concerned(owner) }, 'still held at the end');
  }
  if (cause.kind === 'died' || failures.length > 0 || held.length > 0) process.exitCode = 1;
  log.info({ exitCode: Number(process.exitCode ?? 0) }, 'ended');
}

/** Before anything that takes time: what it died of, and what was running. */
async function tellDeath(error: unknown, { root, hosting, reporting, log }: Ended): Promise<void> {
  const containers = (hosting?.tracker.list() ?? []).map((container) => container.describe());
  const held = root.holdings.list().length;
  await reporting.tellDeath(error, () => log.fatal({ error, containers, held }, messageOf(error)));
}

async function finishRequests(gate: Gate<Hosting>, log: Logger): Promise<void> {
  try {
    await withDeadline(REQUESTS, 'finishing requests', () => gate.idle());
  } catch (error) {
    log.error({ error }, 'requests are cut short');
  }
}
