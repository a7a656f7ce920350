/** The commands about containers: `ps`, `stop` and `receipt`. */

import { align } from '../align.ts';
import { type Api, dataOf, type Schemas } from './client.ts';

type Container = Schemas['Container'];
type Receipt = Schemas['Receipt'];

/** Digits of an id that tables show. */
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
  return isJson ? asJson(containers) : tableOf(containers);
}

export function tableOf(containers: readonly Container[]): string {
  const heads = ['CONTAINER', 'DOCKER', 'STATE', 'FOR', 'HEALTH', 'APP', 'PORT', 'TTY', 'TASK'];
  const rows = containers.map(({ id, docker = '-', state, since, health, app, port, tty, task = '-' }) => [
    id.slice(0, SHORT),
    docker.slice(0, SHORT),
    state,
    spanOf(Date.now() - Date.parse(since)),
    [health?.docker, health?.port].filter(Boolean).join('/') || '-',
    app,
    String(port ?? '-'),
    String(tty ?? '-'),
    task,
  ]);
  return linesOf(align([heads, ...rows]));
}

/** Side by side; those that fail hinder no other. @throws AggregateError of what failed */
export async function stop(
  api: Api,
  ids: readonly string[],
  isJson: boolean,
  write: (text: string) => Promise<void>,
): Promise<void> {
  const stopped = await Promise.allSettled(
    ids.map(async (id) => dataOf(await api.POST('/v1/containers/{id}/stop', { params: { path: { id } } }))),
  );
  const receipts = stopped.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  await write(isJson ? asJson(receipts) : receipts.map(describe).join(''));
  const failures: unknown[] = stopped.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (failures.length > 0) throw new AggregateError(failures);
}

export async function receipt(api: Api, id: string, isJson: boolean): Promise<string> {
  const found = dataOf(await api.GET('/v1/containers/{id}/receipt', { params: { path: { id } } }));
  return isJson ? asJson(found) : describe(found);
}

function describe({ container, app, began, ended, cause, states, resources }: Receipt): string {
  const last = ended ? `ended ${ended}: ${cause ?? 'it is not known why'}` : 'has not ended';
  const passed = states.map(({ state, at, cause: why = '' }) => [`  ${at}`, state, why]);
  const held = resources.map(({ kind, what, allotted, released, seen, failed }) => [
    `  ${kind}`,
    what,
    released ? spanOf(Date.parse(released) - Date.parse(allotted)) : 'held',
    seen ?? failed ?? '',
  ]);
  return linesOf([
    `${container} (${app}) began ${began}, ${last}`,
    ...align(passed),
    ...align([['  RESOURCE', 'WHICH', 'FOR', 'SEEN'], ...held]),
  ]);
}

/** @returns such as `3 h 12 min` */
function spanOf(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours < 1) return `${minutes} min ${seconds % 60} s`;
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
