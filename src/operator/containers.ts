/** The commands about containers: `ps`, `stop` and `receipt`. */

import { WARM } from '../../container/pool/pool-spec.ts';
import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { align } from '../align.ts';
import { dataOf } from './client.ts';
import { describeReceipt, spanOf } from './describe-receipt.ts';
import type { Shown } from './pull.ts';

type Container = Schemas['Container'];

/** The number of digits of an id in tables. */
const SHORT = 12;

interface Wanted {
  readonly state: string | undefined;
  readonly app: string | undefined;
}

export async function ps(api: Api, { state, app }: Wanted, isJson: boolean): Promise<string> {
  const containers: Container[] = [];
  for (let after: string | undefined; ; ) {
    const query = {
      ...(state && { state: state as Container['state'] }),
      ...(app && { app }),
      ...(after && { after }),
    };
    const page = dataOf(await api.GET('/v1/containers', { params: { query } }));
    containers.push(...page.containers);
    after = page.next;
    if (after === undefined) break;
  }
  if (isJson) return asJson(containers);
  const { notices = [] } = dataOf(await api.GET('/v1/host'));
  return tableOf(containers) + warmIn(containers) + linesOf(notices.map(describeNotice));
}

export function tableOf(containers: readonly Container[]): string {
  const hasGpus = containers.some(({ gpus }) => gpus !== undefined);
  const heads = ['CONTAINER', 'DOCKER', 'STATE', 'FOR', 'HEALTH', 'APP', 'PORT', 'TTY', 'TASK'].concat(
    hasGpus ? 'GPU' : [],
  );
  const rows = containers.map(
    ({ id, docker = '-', state, pool, since, health, app, port, tty, task = '-', gpus = ['-'] }) => [
      id.slice(0, SHORT),
      docker.slice(0, SHORT),
      pool === undefined ? state : `${state} (${WARM})`,
      spanOf(Date.now() - Date.parse(since)),
      [health?.docker, health?.port].filter(Boolean).join('/') || '-',
      app,
      String(port ?? '-'),
      String(tty ?? '-'),
      task,
      ...(hasGpus ? [gpus.join(',')] : []),
    ],
  );
  return linesOf(align([heads, ...rows]));
}

/** Counts the warm containers of each pool, which are not in use. */
function warmIn(containers: readonly Container[]): string {
  const pools = Map.groupBy(
    containers.filter(({ pool }) => pool !== undefined),
    ({ pool }) => pool,
  );
  return linesOf(
    [...pools].map(([pool, { length }]) => `The pool ${pool} has ${length} of them, which wait for users.`),
  );
}

function describeNotice({ kind, what, at, action }: Schemas['Notice']): string {
  return `EC2 has given notice of this host: ${kind}, ${what}${at ? ` at ${at}` : ''} (${action}).`;
}

/** Stops containers in parallel. A failure does not affect the others. @throws AggregateError of all failures */
export async function stop(
  api: Api,
  ids: readonly string[],
  { isJson, columns }: Shown,
  write: (text: string) => Promise<void>,
): Promise<void> {
  const stopped = await Promise.allSettled(
    ids.map(async (id) => dataOf(await api.POST('/v1/containers/{id}/stop', { params: { path: { id } } }))),
  );
  const receipts = stopped.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  await write(isJson ? asJson(receipts) : receipts.map((one) => describeReceipt(one, columns)).join(''));
  const failures: unknown[] = stopped.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (failures.length > 0) throw new AggregateError(failures);
}

export async function receipt(api: Api, id: string, { isJson, columns }: Shown): Promise<string> {
  const found = dataOf(await api.GET('/v1/containers/{id}/receipt', { params: { path: { id } } }));
  return isJson ? asJson(found) : describeReceipt(found, columns);
}

export function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
