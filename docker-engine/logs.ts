/**
 * Streams the log that Docker keeps of a container. It requests only what is needed, and output that is not read waits
 * at Docker.
 */

import type Dockerode from 'dockerode';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Docker } from './docker.ts';
import type { DockerId } from './docker-id.ts';
import { statusOf } from './failures.ts';
import { type LogLine, type LogStream, linesOf } from './log-lines.ts';

export interface LogWanted {
  /** Whether to continue until the container has ended. */
  readonly follow?: boolean | undefined;
  /** The number of last lines, counted over both streams; missing: all. */
  readonly tail?: number | undefined;
  /** Missing: both. */
  readonly stream?: LogStream | undefined;
  /** The `at` of a line. The answer contains that line and everything that Docker logged after it. */
  readonly since?: string | undefined;
}

/** The parts of Docker that this uses. */
export type Asked = Pick<Docker, 'call' | 'socket'>;

/** The time limit in milliseconds for Docker to start its answer. */
const PATIENCE = 10_000;
/** The number of seconds within which lines may be out of order. */
const UNSORTED = 60;

/**
 * Resolves when Docker has opened the log. The stream finishes with the end of the log or an error.
 * @throws {ServiceError} `log.unreadable`, `docker.*`; status 404 if Docker does not know the container
 */
export async function openLog(
  docker: Asked,
  id: DockerId,
  wanted: LogWanted,
  signal: AbortSignal,
): Promise<AsyncGenerator<LogLine>> {
  const { Config, HostConfig } = await inspect(docker, id, signal);
  const options = {
    // Makes dockerode return a stream instead of reading the whole answer first.
    follow: true,
    _query: queryOf(wanted),
  } as Dockerode.ContainerLogsOptions & { follow: true };
  const open = (abortSignal: AbortSignal, api: Dockerode) =>
    api.getContainer(id).logs({ ...options, abortSignal });
  const chunks = await docker.call('logs', PATIENCE, open, signal).catch((error: unknown) => {
    if (statusOf(error) !== 501) throw error;
    const driver = HostConfig.LogConfig?.Type ?? '';
    throw new ServiceError('log.unreadable', { id, driver }, { cause: error });
  });
  const lines = linesOf(chunks as AsyncIterable<Buffer>, Config.Tty);
  return read(docker, lines, async () => {
    if (!wanted.follow || !(await isRunning(docker, id, signal))) return;
    throw new Error('the stream ended while the container still runs');
  });
}

function inspect(docker: Asked, id: DockerId, signal: AbortSignal): Promise<Dockerode.ContainerInspectInfo> {
  const ask = (abortSignal: AbortSignal, api: Dockerode) => api.getContainer(id).inspect({ abortSignal });
  return docker.call('inspect', PATIENCE, ask, signal);
}

async function isRunning(docker: Asked, id: DockerId, signal: AbortSignal): Promise<boolean> {
  try {
    return (await inspect(docker, id, signal)).State.Running;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}

function queryOf({ follow = false, tail, stream, since }: LogWanted): object {
  const streams = { stdout: stream !== 'stderr', stderr: stream !== 'stdout' };
  return { follow, ...streams, timestamps: true, ...(tail !== undefined && { tail }), ...sinceOf(since) };
}

/**
 * In Docker's format: Unix time in seconds, with a fraction. All pieces of a line have the time of the first one. So an
 * earlier time may follow a later one, and older Engines would leave those lines out.
 */
function sinceOf(at: string | undefined): object {
  if (at === undefined) return {};
  const [seconds = '', fraction = ''] = at.slice(0, -1).split('.');
  return { since: `${Math.max(0, Date.parse(`${seconds}Z`) / 1000 - UNSORTED)}.${fraction}` };
}

async function* read(
  docker: Asked,
  lines: AsyncIterable<LogLine>,
  throwIfCut: () => Promise<void>,
): AsyncGenerator<LogLine> {
  try {
    yield* lines;
    await throwIfCut();
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    const why = `its log: ${messageOf(error)}`;
    throw new ServiceError('docker.unavailable', { socket: docker.socket, why }, { cause: error });
  }
}
