/** The routes about the managed nodes of this host. */

import { placedLog } from '../../container/log-of.ts';
import { type LogWanted, openLog } from '../../docker-engine/logs.ts';
import type { Nodes as ManagedNodes } from '../../managed-nodes/nodes.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { lastKnown } from './event-stream.ts';
import { asSent, LogsHeaders, LogsQuery } from './log-routes.ts';
import {
  ByNode,
  Node,
  NodeEvents,
  NodeEventsQuery,
  NodeLock,
  NodePlan,
  NodeReceipts,
  Nodes,
  NodesText,
} from './node-schemas.ts';
import type { Operations } from './operations.ts';
import type { Routes } from './routes.ts';

/** @param closing aborts when the server closes; streams end then */
export function addNodeRoutes(
  routes: Routes,
  gate: Gate<Hosting>,
  operations: Operations,
  closing: AbortSignal,
): void {
  const nodes = () => {
    gate.check();
    return operations.nodes();
  };
  routes.add('GET', '/nodes', {
    summary: 'List the managed nodes, by name',
    answer: Nodes,
    handle: async () => listOf(nodes()),
  });
  routes.add('GET', '/nodes/plan', {
    summary: 'Get the steps to the state that the feed wants',
    answer: NodePlan,
    handle: async () => ({ steps: nodes().plan().map(stepOf) }),
  });
  routes.add('POST', '/nodes/plan', {
    summary: 'Get the steps to the state in another file of nodes, without using the file',
    body: NodesText,
    answer: NodePlan,
    handle: async ({ body: { file } }) => {
      // Loads a parser of YAML, which a start does not need.
      const { parseNodesFile } = await import('../../managed-nodes/feeds/nodes-file.ts');
      const source = 'the given file';
      return { steps: nodes().planFor(parseNodesFile(file, source), source).map(stepOf) };
    },
  });
  routes.add('GET', '/nodes/events', {
    summary: 'Get what happened to managed nodes',
    query: NodeEventsQuery,
    answer: NodeEvents,
    handle: async ({ query: { after = 0 } }) => ({ events: nodes().events.after(after) }),
  });
  routes.add('PUT', '/nodes/lock', {
    summary: 'Defer updates of managed nodes, or allow them again',
    description:
      'A lock outlives the service. New nodes are started and removed ones stopped all the same. The file `nodes/lock` in the state directory of the service is the lock: other programs may make and remove it.',
    body: NodeLock,
    answer: NodeLock,
    handle: async ({ body: { locked } }) => {
      await nodes().lock(locked);
      return { locked };
    },
  });
  routes.add('GET', '/nodes/:node', {
    summary: 'Describe one managed node',
    params: ByNode,
    answer: Node,
    handle: async ({ params: { node } }) => nodes().named(node),
  });
  routes.add('GET', '/nodes/:node/receipts', {
    summary: 'Get the receipts of the containers of a node that were replaced or removed',
    description: 'The node itself may be gone. The last thousand receipts of all nodes are kept.',
    params: ByNode,
    answer: NodeReceipts,
    handle: async ({ params: { node } }) => ({ receipts: await nodes().receipts.of(node) }),
  });
  routes.add('POST', '/nodes/:node/restart', {
    summary: 'Restart the container of a managed node, or retry a rejected one',
    description: 'The answer does not wait for the restart. It shows the node as it was before.',
    params: ByNode,
    answer: Node,
    handle: async ({ params: { node } }) => nodes().restart(node),
  });
  routes.stream('/nodes/:node/logs', closing, {
    summary: 'Read or follow the output of the container of a managed node, as server-sent events',
    description:
      'The data of an event `line` is a LogLine. The last event is `end`, or `failed` with a Problem. A stream without one of them was cut off.',
    params: ByNode,
    headers: LogsHeaders,
    query: LogsQuery,
    handle: async ({ params: { node }, query: { after, ...wanted }, headers }, signal) => {
      const { docker, id } = nodes().containerOf(node);
      const open = (what: LogWanted) => openLog(docker, id, what, signal);
      return asSent(await placedLog(open, wanted, lastKnown(headers, after)), signal);
    },
  });
}

function listOf(nodes: ManagedNodes) {
  const { isLocked: locked, ...view } = nodes.view;
  return { ...view, locked };
}

function stepOf({ do: what, node, cause, ...step }: ReturnType<ManagedNodes['plan']>[number]) {
  return { node, do: what, cause, ...('container' in step && { container: step.container }) };
}
