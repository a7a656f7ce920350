/** ECS Exec as a whole: finds the container, checks that it is ready, runs the command, and returns its exit code. */

import { type ECSClient, ExecuteCommandCommand } from '@aws-sdk/client-ecs';
import type { KMSClient } from '@aws-sdk/client-kms';
import {
  DoesNotExistException,
  ResumeSessionCommand,
  type SSMClient,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
import { settleChoice } from './ask-target.ts';
import { chooseTarget, execProblem, type Target, type Wish } from './choose-target.ts';
import { shellCommand } from './command-line.ts';
import { dataKeys } from './data-key.ts';
import { explainExecFailure } from './exec-failure.ts';
import { findTargets, type TaskScope } from './find-targets.ts';
import type { Headers } from './open-socket.ts';
import type { Ticket } from './resuming-socket.ts';
import { runSession, type SessionStreams } from './run-session.ts';
import { SessionError } from './session-error.ts';

export interface ExecClients {
  readonly ecs: ECSClient;
  readonly ssm: SSMClient;
  /** Called when the session must be encrypted with a KMS key. */
  readonly kms?: () => Promise<KMSClient>;
  /** Signs the request for the WebSocket. Without it, the session's token is the only credential. */
  readonly headers?: Headers;
}

export interface ExecOptions {
  readonly clients: ExecClients;
  readonly scope: TaskScope;
  readonly wish: Wish;
  /** The words of a command, or one line for the shell. */
  readonly words: readonly string[];
  readonly streams: SessionStreams;
  /** true: use a terminal if stdin and stdout are terminals. false: always use pipes. */
  readonly isInteractive: boolean;
  /** false for an image without a shell: the command runs directly, and its exit code is not known. */
  readonly hasShell?: boolean;
  /** Called when the container has been chosen. */
  chosen?(target: Target): void;
  readonly signal: AbortSignal;
}

/**
 * Runs the command in one container.
 * @returns the command's exit code
 * @throws SessionError, or the signal's reason after the session was terminated at the service
 */
export async function execInTask(options: ExecOptions): Promise<number> {
  try {
    return await exec(options);
  } catch (error) {
    // An aborted AWS call rejects with its own error.
    if (options.signal.aborted) throw options.signal.reason;
    throw error;
  }
}

async function exec(options: ExecOptions): Promise<number> {
  const { clients, scope, wish, words, streams, signal, hasShell = true } = options;
  const target = await findTarget(clients.ecs, scope, wish, streams, signal);
  options.chosen?.(target);
  const hasTerminal = options.isInteractive && streams.stdin.isTTY === true && streams.stdout.isTTY === true;
  const hasInput = !hasTerminal && streams.stdin.isTTY !== true;
  const command = hasShell ? shellCommand({ words, hasTerminal, hasInput }) : undefined;
  const ticket = await startExec(clients.ecs, target, command?.text ?? words.join(' '), signal);
  return runSession({
    ticket,
    streams,
    command,
    hasTerminal,
    hasInput,
    resume: (ending) => resumeSession(clients.ssm, ticket, ending),
    terminate: () => terminateSession(clients.ssm, ticket),
    ...(clients.kms && { dataKey: dataKeys(clients.kms, ticket, target) }),
    ...(clients.headers && { headers: clients.headers }),
    signal,
  });
}

/**
 * Finds the container, asks the user if several match, and checks that ECS Exec is ready in it.
 * @throws SessionError when there is no such container, or it is not ready
 */
export async function findTarget(
  ecs: ECSClient,
  scope: TaskScope,
  wish: Wish,
  streams: Pick<SessionStreams, 'stdin' | 'stderr'>,
  signal: AbortSignal,
): Promise<Target> {
  const choice = chooseTarget(await findTargets(ecs, scope, signal), wish);
  const target = await settleChoice(choice, streams, signal);
  const problem = execProblem(target);
  if (problem) throw new SessionError('setup', problem);
  return target;
}

async function startExec(
  ecs: ECSClient,
  target: Target,
  command: string,
  signal: AbortSignal,
): Promise<Ticket> {
  const { cluster, taskArn, container } = target;
  // ECS supports only interactive sessions. Whether this side has a terminal is this client's concern.
  const request = new ExecuteCommandCommand({
    cluster,
    task: taskArn,
    container,
    command,
    interactive: true,
  });
  try {
    const { session } = await ecs.send(request, { abortSignal: signal });
    return ticketOf(session);
  } catch (error) {
    throw explainExecFailure(error, target);
  }
}

export interface SessionAnswer {
  readonly sessionId?: string | undefined;
  readonly streamUrl?: string | undefined;
  readonly tokenValue?: string | undefined;
}

/** @throws SessionError when a field is missing */
export function ticketOf({ sessionId, streamUrl, tokenValue }: SessionAnswer = {}): Ticket {
  if (!sessionId || !streamUrl || !tokenValue)
    throw new SessionError(
      'connection',
      'AWS returned a session without its id, address or token; try again',
    );
  return { sessionId, streamUrl, tokenValue };
}

/** @returns undefined when the session is over */
export async function resumeSession(
  ssm: SSMClient,
  { sessionId, streamUrl }: Ticket,
  signal: AbortSignal,
): Promise<Ticket | undefined> {
  try {
    const request = new ResumeSessionCommand({ SessionId: sessionId });
    const { TokenValue: tokenValue, StreamUrl = streamUrl } = await ssm.send(request, {
      abortSignal: signal,
    });
    return tokenValue ? { sessionId, streamUrl: StreamUrl, tokenValue } : undefined;
  } catch (error) {
    if (error instanceof DoesNotExistException) return undefined;
    throw error;
  }
}

/** Terminates the session at the service, which ends the program in the container. */
export async function terminateSession(ssm: SSMClient, { sessionId }: Ticket): Promise<void> {
  const abortSignal = AbortSignal.timeout(5_000);
  await ssm.send(new TerminateSessionCommand({ SessionId: sessionId }), { abortSignal });
}
