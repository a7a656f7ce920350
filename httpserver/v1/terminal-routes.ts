/** The routes about terminals. */

import { openTerminalIn } from '../../container/terminal-in.ts';
import { openTerminalInNode } from '../../managed-nodes/terminal-in-node.ts';
import type { AttachOptions, Terminal as HeldTerminal } from '../../ttys/terminal.ts';
import type { Terminals as HeldTerminals, Open } from '../../ttys/terminals.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { throwUnlessActs } from './authority.ts';
import { ByNode } from './node-schemas.ts';
import type { Operations } from './operations.ts';
import type { Joined, Routes } from './routes.ts';
import { ById } from './schemas.ts';
import { PROTOCOL } from './terminal-messages.ts';
import { AttachQuery, ByTerminal, HostQuery, OpenQuery, Terminal, Terminals } from './terminal-schemas.ts';
import { join } from './terminal-socket.ts';

/** Uses bash if the container has it, and sh otherwise. If sh is missing too, Docker reports that. */
const SHELL: [string, ...string[]] = ['/bin/sh', '-c', 'command -v bash > /dev/null && exec bash; exec sh'];

/** @param closing aborts when the server closes */
export function addTerminalRoutes(
  routes: Routes,
  gate: Gate<Hosting>,
  operations: Operations,
  closing: AbortSignal,
): void {
  routes.socket('/containers/:id/terminal', {
    summary: 'Open a terminal in a container',
    description: `The terminal keeps running when the connection breaks, until nobody has used it for TERMINAL_IDLE_SECONDS. ${PROTOCOL}`,
    params: ById,
    query: OpenQuery,
    handle: ({ params, query, principal: { from: by } }) =>
      gate.pass(async ({ tracker }) => {
        const { command = SHELL, user } = query;
        const container = tracker.named(params.id);
        const request = { command: command as typeof SHELL, user, ...screenOf(query), by };
        return opened(tracker.host.terminals, await openTerminalIn(container, tracker.host, request));
      }),
  });
  routes.socket('/nodes/:node/terminal', {
    summary: 'Open a terminal in the container of a managed node',
    description: `The terminal keeps running when the connection breaks, like a terminal in a container. ${PROTOCOL}`,
    params: ByNode,
    query: OpenQuery,
    handle: ({ params: { node }, query, principal: { from: by } }) =>
      gate.pass(async ({ tracker }) => {
        const { command = SHELL, user } = query;
        const { terminals } = tracker.host;
        const nodes = operations.nodes();
        const place = { node, ...nodes.containerOf(node), lifetime: nodes.lend(node) };
        const request = { command: command as typeof SHELL, user, ...screenOf(query), by };
        return opened(terminals, await openTerminalInNode(terminals, { ...place, ...request }));
      }),
  });
  routes.socket('/host/terminal', {
    summary: 'Open a shell on this host, if HOST_SHELL_USER allows it',
    description: `The shell keeps running when the connection breaks, like a terminal in a container. ${PROTOCOL}`,
    query: HostQuery,
    handle: ({ query, principal: { from: by } }) =>
      gate.pass(async ({ tracker }) => {
        const { terminals } = tracker.host;
        return opened(terminals, await terminals.openOnHost(tracker.lifetime, { ...screenOf(query), by }));
      }),
  });
  routes.socket('/terminals/:id/attach', {
    summary: 'Return to a terminal, or watch it',
    description: PROTOCOL,
    params: ByTerminal,
    query: AttachQuery,
    looksOnly: true,
    handle: async ({ params, query, principal }) => {
      const { as = 'write', after } = query;
      if (as !== 'watch') throwUnlessActs(principal);
      return joinedTo(await gate.check().tracker.host.terminals.find(params.id, principal.from), {
        as,
        after,
      });
    },
  });
  routes.add('GET', '/terminals', {
    summary: 'List the open terminals, oldest first',
    answer: Terminals,
    handle: async () => {
      const { terminals } = gate.check().tracker.host;
      await terminals.left;
      return { terminals: terminals.list().map(viewOf) };
    },
  });
  routes.add('POST', '/terminals/:id/end', {
    summary: 'End a terminal and everything that runs in it',
    params: ByTerminal,
    answer: Terminal,
    handle: ({ params }) =>
      gate.pass(async ({ tracker }) => viewOf(await tracker.host.terminals.end(params.id))),
  });

  function opened(terminals: HeldTerminals, terminal: HeldTerminal): Joined {
    // If the client has disconnected, nobody knows the id of the terminal.
    const abandon = () => void terminals.end(terminal.id).catch(() => {});
    return { ...joinedTo(terminal, { as: 'write', after: undefined }), abandon };
  }

  function joinedTo(terminal: HeldTerminal, how: AttachOptions): Joined {
    const attachment = terminal.attach(how);
    return {
      join: (socket, askAgain) => join(socket, terminal, attachment, { closing, askAgain }),
      abandon: () => attachment.detach(),
    };
  }
}

function screenOf({ type = 'xterm-256color', columns = 80, rows = 24 }: HostQuery) {
  return { type, size: { columns, rows } };
}

function viewOf({ terminal, container, program, user, by }: Open): Terminal {
  const { id, began, size, attached, writer, idle } = terminal;
  return {
    id,
    ...(container !== undefined && { container }),
    program,
    ...(user !== undefined && { user }),
    by,
    began: began.toISOString(),
    ...size,
    attached,
    written: writer !== undefined,
    idle: Math.floor(idle / 1000),
  };
}
