/**
 * Measures the cost of calls to Docker through the service's proxy: small calls, and streams at Docker's full speed. A
 * process that only pipes is measured too, because any intermediate process has a cost.
 */

import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { Agent, get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { NODE_FLAGS } from '../scripts/node-flags.ts';
import { TestHost } from '../test/support/test-host.ts';
import { type Measure, median, quantile, type Row, row, timed } from './measure.ts';

const ENGINE = '/run/docker.sock';
const PIPE = '/run/test/pipe.sock';
const ARCHIVE = '/run/test/large.tar';
const IMAGE = 'large:1';
const MEBIBYTES = 128;

/** The number of calls and of streams of each kind, on each side. */
const CALLS = 1000;
const STREAMS = 31;
/** The milliseconds that the proxy may add to a small call. */
const ADDED = 0.4;
/** The share of the direct throughput that must remain with the proxy. */
const THROUGHPUT = 0.9;

/** The unix sockets of Docker, of the service's proxy, and of a bare pipe. */
interface Sides {
  readonly direct: string;
  readonly proxy: string;
  readonly pipe: string;
}

/** Milliseconds. */
type Taken = Readonly<Record<keyof Sides, number>>;
type Work = (socket: string) => Promise<void>;
type Say = (progress: string) => void;

/** One persistent connection to each socket. */
class Connections implements Disposable {
  readonly #agents = new Map<string, Agent>();

  async call(socketPath: string, path: string): Promise<void> {
    const agent = this.#agents.get(socketPath) ?? new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agents.set(socketPath, agent);
    const [answer]: [IncomingMessage] = (await once(get({ agent, socketPath, path }), 'response')) as never;
    if (answer.statusCode !== 200) throw new Error(`${path} was answered with ${answer.statusCode}`);
    await once(answer.resume(), 'end');
  }

  [Symbol.dispose](): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

/** Runs Docker's command line and discards its output. */
async function docker(socket: string, words: readonly string[], stdin: number | 'ignore'): Promise<void> {
  const stdio = [stdin, 'ignore', 'inherit'] as const;
  const child = spawn('docker', ['--host', `unix://${socket}`, ...words], { stdio: [...stdio] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`docker ${words[0]} ended with ${code}`);
}

async function onEachSide(sides: Sides, work: Work): Promise<Taken> {
  const taken = { direct: 0, proxy: 0, pipe: 0 };
  const names = Object.keys(taken) as (keyof Sides)[];
  const order = names.map((name) => ({ name, at: Math.random() })).sort((a, b) => a.at - b.at);
  for (const { name } of order) taken[name] = await timed(() => work(sides[name]));
  return taken;
}

async function rounds(count: number, sides: Sides, work: Work, say: Say): Promise<Taken[]> {
  const taken: Taken[] = [];
  // Warms up, so that connections exist.
  await onEachSide(sides, work);
  while (taken.length < count) {
    if (count === STREAMS || taken.length % 100 === 0) say(`round ${taken.length + 1} of ${count}`);
    taken.push(await onEachSide(sides, work));
  }
  return taken;
}

/** The time that the service's proxy and the bare pipe each add to Docker's own, relative to the limit. */
function added(name: string, taken: readonly Taken[]): Row[] {
  const rowOf = (what: string, side: 'proxy' | 'pipe', bound: Row['bound']) => {
    const values = taken.map((one) => (one[side] - one.direct) / ADDED);
    return row(
      `time that ${what} adds to ${name}, over ${ADDED} ms`,
      median(values),
      quantile(values, 0.95),
      bound,
    );
  };
  return [rowOf('the proxy', 'proxy', { median: 1 }), rowOf('a bare pipe', 'pipe', {})];
}

function slowed(name: string, taken: readonly Taken[]): Row[] {
  const rowOf = (what: string, side: 'proxy' | 'pipe', bound: Row['bound']) => {
    const values = taken.map((one) => one[side] / one.direct);
    return row(`${name} through ${what}, over a direct call`, median(values), Math.max(...values), bound);
  };
  const most = Math.round(1000 / THROUGHPUT) / 1000;
  return [rowOf('the proxy', 'proxy', { median: most }), rowOf('a bare pipe', 'pipe', {})];
}

/** Makes an image of random data, and an archive with the same content. */
function makeLargeImage(): void {
  const noise = `head -c ${MEBIBYTES}M /dev/urandom > file && tar -cf ${ARCHIVE} file && rm file`;
  execFileSync('sh', ['-c', `${noise} && docker import ${ARCHIVE} ${IMAGE}`], { cwd: '/run/test' });
}

async function startPipe(): Promise<() => Promise<void>> {
  const child = fork(join(import.meta.dirname, 'bare-pipe.ts'), [PIPE, ENGINE], {
    execArgv: [...NODE_FLAGS],
  });
  await once(child, 'message');
  return async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  };
}

async function compare(sides: Sides, container: string, say: Say): Promise<Row[]> {
  using connections = new Connections();
  const call =
    (path: string): Work =>
    (socket) =>
      connections.call(socket, path);
  const out: Work = (socket) => docker(socket, ['save', IMAGE], 'ignore');
  const into: Work = async (socket) => {
    await using archive = await open(ARCHIVE);
    await docker(socket, ['cp', '-', `${container}:/`], archive.fd);
  };
  const saying =
    (name: string): Say =>
    (progress) =>
      say(`${name}: ${progress}`);
  return [
    ...added('GET /_ping', await rounds(CALLS, sides, call('/_ping'), saying('ping'))),
    ...added(
      'an inspect',
      await rounds(CALLS, sides, call(`/containers/${container}/json`), saying('inspect')),
    ),
    ...slowed('docker save', await rounds(STREAMS, sides, out, saying('save'))),
    ...slowed('docker cp into a container', await rounds(STREAMS, sides, into, saying('cp'))),
  ];
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, LOG_LEVEL: 'info' } }).ready();
  const stopPipe = await startPipe();
  say('making a large image');
  makeLargeImage();
  const { id } = await host.docker.createContainer({ Image: IMAGE, Cmd: ['/none'] });
  const proxy = join(root, 'run/ecs-host-service/docker.sock');
  const rows = await compare({ direct: ENGINE, proxy, pipe: PIPE }, id, say);
  await stopPipe();
  await service.stop();
  return {
    method: `Small calls of a client that keeps its connection open, and Docker's command line with ${MEBIBYTES} MiB of random data: through Docker's own socket, through the service's socket, and through the socket of a Node process that only pipes, in random order. ${CALLS} calls of each kind measure the time that is added to Docker's own, and ${STREAMS} streams of each kind measure the ratio to Docker's own time. A ratio of ${(1 / THROUGHPUT).toFixed(2)} is a throughput of ${THROUGHPUT}.`,
    rows,
  };
};
