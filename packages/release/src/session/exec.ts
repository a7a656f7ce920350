/** ECS Exec, from the question to the exit code: finds the container, sees that it is ready, and runs the command there. */

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
  /** Asked for when the session is to be encrypted with a key of KMS. */
  readonly kms?: () => Promise<KMSClient>;
  /** Signs the request for the WebSocket; left out, the session's token is all the proof. */
  readonly headers?: Headers;
}

export interface ExecOptions {
  readonly clients: ExecClients;
  readonly scope: TaskScope;
  readonly wish: Wish;
  /** Words of a command, or one line for the shell. */
  readonly words: readonly string[];
  readonly streams: SessionStreams;
  /** True: a terminal as long as both ends are one. False: pipes, whatever they are. */
  readonly isInteractive: boolean;
  /** False for an image without a shell: the command runs as it is, and its exit code is not known. */
  readonly hasShell?: boolean;
  /** Called once the container is known. */
  chosen?(target: Target): void;
  readonly signal: AbortSignal;
}

/**
 * Runs the command in one container and returns its exit code.
 * @throws SessionError, or the signal's reason after the session was ended at the service too
 */
export async function execInTask(options: ExecOptions): Promise<number> {
  try {
    return await exec(options);
  } catch (error) {
    // A call to AWS that is aborted rejects with an error of its own.
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

/** Finds the container that is meant, asks where several are, and sees that ECS Exec is ready in it. @throws SessionError */
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
  // The only kind of session that ECS knows; whether there is a terminal on this side is for us to see.
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

/** @throws SessionError */
export function ticketOf({ sessionId, streamUrl, tokenValue }: SessionAnswer = {}): Ticket {
  if (!sessionId || !streamUrl || !tokenValue)
    throw new SessionError(
      'connection',
      'AWS returned a session without its id, address or token; try again',
    );
  return { sessionId, streamUrl, tokenValue };
}

/** Undefined when the session is over. */
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

/** Ends the session at the service, which ends the program in the container. */
export async function terminateSession(ssm: SSMClient, { sessionId }: Ticket): Promise<void> {
  const abortSignal = AbortSignal.timeout(5_000);
  await ssm.send(new TerminateSessionCommand({ SessionId: sessionId }), { abortSignal });
}
