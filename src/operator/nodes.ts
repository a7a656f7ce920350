/** Runs the commands about managed nodes that answer with a text. */

import { readFile } from 'node:fs/promises';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { align } from '../align.ts';
import { dataOf } from './client.ts';
import { asJson, linesOf } from './containers.ts';
import { spanOf } from './describe-receipt.ts';
import type { NodeAsked } from './node-commands.ts';
import { printable } from './printable.ts';

type Node = Schemas['Node'];
type Step = Schemas['NodePlan']['steps'][number];
type Asked = Exclude<NodeAsked, { name: 'nodes logs' | 'nodes exec' }>;

/** The number of digits of a digest that tables show after `sha256:`. */
const SHORT = 12;

export async function nodes(api: Api, asked: Asked, isJson: boolean): Promise<string> {
  switch (asked.name) {
    case 'nodes list': {
      const found = dataOf(await api.GET('/v1/nodes'));
      return isJson ? asJson(found) : tableOf(found);
    }
    case 'nodes plan': {
      const found = await planned(api, asked.file);
      return isJson ? asJson(found) : planOf(found.steps);
    }
    case 'nodes events': {
      const found = dataOf(await api.GET('/v1/nodes/events'));
      return isJson ? asJson(found) : linesOf(align(found.events.map(eventOf)));
    }
    case 'nodes explain':
      return await explain(api, asked.node, isJson);
    case 'nodes receipts': {
      const params = { path: { node: asked.node } };
      const { receipts } = dataOf(await api.GET('/v1/nodes/{node}/receipts', { params }));
      return isJson ? asJson({ receipts }) : receiptsOf(receipts);
    }
    case 'nodes restart': {
      const params = { path: { node: asked.node } };
      const found = dataOf(await api.POST('/v1/nodes/{node}/restart', { params }));
      return isJson ? asJson(found) : `Node ${found.name} is restarted as soon as it can be.\n`;
    }
    default: {
      const locked = asked.name === 'nodes lock';
      const found = dataOf(await api.PUT('/v1/nodes/lock', { body: { locked } }));
      if (isJson) return asJson(found);
      return locked ? 'Updates of managed nodes are deferred.\n' : 'Updates of managed nodes are allowed.\n';
    }
  }
}

async function planned(api: Api, file: string | undefined): Promise<Schemas['NodePlan']> {
  if (file === undefined) return dataOf(await api.GET('/v1/nodes/plan'));
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new ServiceError('node.bad_feed', { source: file, why: messageOf(error) });
  });
  return dataOf(await api.POST('/v1/nodes/plan', { body: { file: text } }));
}

function tableOf({ nodes: all, feedError, lookError, locked }: Schemas['Nodes']): string {
  const heads = ['NODE', 'STATE', 'FOR', 'DIGEST', 'IMAGE', 'CAUSE'];
  const rows = all.map(({ name, state, since, digest, image = '-', cause }) => [
    name,
    state,
    spanOf(Date.now() - Date.parse(since)),
    shortOf(digest),
    image,
    printable(cause),
  ]);
  const notes = [
    ...(feedError === undefined ? [] : [printable(feedError)]),
    ...(lookError === undefined ? [] : [printable(`The states above may be old: ${lookError}`)]),
    ...(locked ? ['Updates are deferred by a lock; "ecs-host-service nodes unlock" removes it.'] : []),
  ];
  return linesOf([...align([heads, ...rows]), ...notes]);
}

async function explain(api: Api, node: string, isJson: boolean): Promise<string> {
  const found = dataOf(await api.GET('/v1/nodes/{node}', { params: { path: { node } } }));
  const { steps } = dataOf(await api.GET('/v1/nodes/plan'));
  const own = steps.filter((step) => step.node === node);
  return isJson ? asJson({ ...found, steps: own }) : describe(found) + planOf(own);
}

function describe({ rejected, ...node }: Node): string {
  const { name, type, image, state, cause, since, container, candidate, digest, lastError, nextAttempt } =
    node;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['node', name],
    ['type', type],
    ['state', `${state} since ${since}`],
    ['cause', cause],
    ['wanted image', image ?? 'none: the feed no longer wants it'],
    ['container', container],
    ['its image', digest],
    ['new container', candidate],
    ['last error', lastError],
    ['next attempt', nextAttempt],
    ['rejected', rejected && `${rejected.at}: ${rejected.why}`],
  ];
  const known = facts.flatMap(([fact, value]) => (value === undefined ? [] : [[fact, printable(value)]]));
  const lines = (rejected?.lastLines ?? []).map((line) => `  | ${printable(line)}`);
  return linesOf([...align(known), ...lines]);
}

function planOf(steps: readonly Step[]): string {
  if (steps.length === 0) return 'There is nothing to do.\n';
  const rows = steps.map(({ node, do: what, cause }, i) => [String(i + 1), node, what, printable(cause)]);
  return linesOf(align([['STEP', 'NODE', 'DO', 'CAUSE'], ...rows]));
}

function receiptsOf(receipts: Schemas['NodeReceipts']['receipts']): string {
  if (receipts.length === 0) return 'No container of this node was replaced or removed.\n';
  const rows = receipts.map(({ removed, container, image, started, ended = removed, exitCode, cause }) => [
    removed,
    container.slice(0, SHORT),
    started === undefined ? 'never' : spanOf(Date.parse(ended) - Date.parse(started)),
    exitCode === undefined ? '-' : String(exitCode),
    image,
    printable(cause),
  ]);
  return linesOf(align([['REMOVED', 'CONTAINER', 'RAN', 'EXIT', 'IMAGE', 'CAUSE'], ...rows]));
}

function eventOf({ at, node, state, cause }: Schemas['NodeEvents']['events'][number]): string[] {
  return [at, node, state, printable(cause)];
}

function shortOf(digest = '-'): string {
  return digest.replace('sha256:', '').slice(0, SHORT);
}
