/**
 * Forwards a local port to a port of a container. Each connection has its own session in the agent's plain mode, which
 * carries the raw bytes of one connection. So connections do not wait for each other, and a protocol in which the
 * server speaks first works on every connection. The version in the handshake declines the agent's multiplexed mode.
 */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { KMSClient } from '@aws-sdk/client-kms';
import { type SSMClient, StartSessionCommand, type StartSessionCommandOutput } from '@aws-sdk/client-ssm';
import type { Target } from './choose-target.ts';
import { DataChannel } from './data-channel.ts';
import { dataKeys } from './data-key.ts';
import { resumeSession, terminateSession, ticketOf } from './exec.ts';
import { isAtLeast } from './handshake.ts';
import { inputChunks, pieces } from './input-chunks.ts';
import type { Headers } from './open-socket.ts';
import { PAYLOAD } from './payloads.ts';
import type { Ticket } from './resuming-socket.ts';
import { SessionError } from './session-error.ts';
import { sessionTarget } from './session-target.ts';

export interface ForwardOptions {
  readonly ssm: SSMClient;
  /** Called when sessions must be encrypted with a KMS key. */
  readonly kms?: () => Promise<KMSClient>;
  readonly headers?: Headers;
  readonly target: Target;
  /** The container's port. */
  readonly port: number;
  /** 0: the system chooses a free port. */
  readonly localPort: number;
  /** The local address to listen on. The default is loopback. */
  readonly localHost?: string;
  /** Called once, when the port accepts connections. */
  listening?(address: { readonly host: string; readonly port: number }): void;
  /** Called for each connection that failed. The other connections continue. */
  failed?(error: unknown): void;
  /** Ends all connections, and stops listening. */
  readonly signal: AbortSignal;
}

const DOCUMENT = 'AWS-StartPortForwardingSession';
/** A version below 1.1.70. Agents multiplex connections for clients from 1.1.70 on. */
const PLAIN_VERSION = '1.1.61.0';
/** Agents from this version on end the session when the client tells them to. */
const KNOWS_TERMINATE = '2.3.722.0';
/** Bytes per message; this is the agent's own limit. */
const MOST_PAYLOAD = 1024;

/**
 * Resolves after the signal aborts, when every connection has ended.
 * @throws SessionError when the port is taken
 */
export async function forwardPort(options: ForwardOptions): Promise<void> {
  const { localPort, localHost = '127.0.0.1', signal } = options;
  signal.throwIfAborted();
  const connections = new Set<Promise<void>>();
  const server = createServer((socket) => {
    const connection = forwardConnection(options, socket)
      .catch((error: unknown) => {
        if (!signal.aborted) options.failed?.(error);
      })
      .finally(() => {
        socket.destroy();
        connections.delete(connection);
      });
    connections.add(connection);
  });
  server.listen(localPort, localHost);
  try {
    await once(server, 'listening', { signal });
  } catch (error) {
    server.close();
    if (signal.aborted) throw signal.reason;
    throw new SessionError(
      'setup',
      `cannot listen on port ${localPort} of ${localHost}: ${(error as Error).message}; choose another port`,
      { cause: error },
    );
  }
  const { port } = server.address() as { port: number };
  options.listening?.({ host: localHost, port });
  await once(server, 'close', { signal }).catch(() => {});
  server.close();
  await Promise.all(connections);
}

async function forwardConnection(options: ForwardOptions, socket: Socket): Promise<void> {
  const { ssm, headers, target, port, signal } = options;
  // The connection may break before its session exists. The error is then noticed when the socket is read.
  socket.on('error', () => {});
  const Parameters = { portNumber: [String(port)] };
  const request = new StartSessionCommand({
    Target: sessionTarget(target),
    DocumentName: DOCUMENT,
    Parameters,
  });
  const ticket = ticketFrom(await ssm.send(request, { abortSignal: signal }));
  try {
    // The first payloads may arrive before the channel does.
    let opened: DataChannel | undefined;
    await using channel = await DataChannel.open({
      ticket,
      clientVersion: PLAIN_VERSION,
      onPayload: (type, payload) => {
        if (type === PAYLOAD.output && !socket.write(payload)) opened?.read(false);
      },
      resume: (ending) => resumeSession(ssm, ticket, ending),
      ...(headers && { headers }),
      ...(options.kms && { dataKey: dataKeys(options.kms, ticket, target) }),
      signal,
    });
    opened = channel;
    if (socket.writableNeedDrain) channel.read(false);
    socket.on('drain', () => channel.read(true));
    await carry(channel, socket, signal);
    if (isAtLeast(channel.introduction.agentVersion, KNOWS_TERMINATE)) await channel.terminate();
    else await terminateSession(ssm, ticket);
  } catch (error) {
    await terminateSession(ssm, ticket).catch(() => {});
    throw error;
  }
}

function ticketFrom(answer: StartSessionCommandOutput): Ticket {
  const { SessionId: sessionId, StreamUrl: streamUrl, TokenValue: tokenValue } = answer;
  return ticketOf({ sessionId, streamUrl, tokenValue });
}

/**
 * Runs until one side closes. Data that the local side sent before that is delivered. The agent does not support
 * half-closed connections.
 */
async function carry(channel: DataChannel, socket: Socket, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const sent = (async () => {
    for await (const chunk of inputChunks(socket, stop.signal))
      for (const piece of pieces(chunk, MOST_PAYLOAD)) await channel.send(PAYLOAD.output, piece);
    await channel.flushed();
  })();
  const ended = channel.ended.then((reason) => {
    if (reason !== '') throw new SessionError('closed', `the connection was ended: ${reason}`);
  });
  try {
    await Promise.race([sent, ended]);
  } finally {
    stop.abort();
    sent.catch(() => {});
    ended.catch(() => {});
    socket.end();
    if (!socket.destroyed && !socket.writableFinished)
      await Promise.race([once(socket, 'finish', { signal }), once(socket, 'close')]).catch(() => {});
  }
}
