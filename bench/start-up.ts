/** Measures the cost of this service before it does anything: the time until it listens, and its memory then. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { NODE_FLAGS } from '../scripts/node-flags.ts';
import { TestHost } from '../test/support/test-host.ts';
import { World } from '../test/support/world.ts';
import { writePair } from './bare.ts';
import { type Measure, median, ofPairs, type Row } from './measure.ts';

const ROUNDS = 10;
const REPEATS = 5;
/** Milliseconds after which a process without work counts as idle. */
const SETTLED = 1500;

const ROOT = join(import.meta.dirname, '..');
const EXECUTABLE = join(ROOT, 'build/ecs-host-service');
const INSTALLED = `${EXECUTABLE}-installed`;
const WORK = mkdtempSync('/run/test-start-up-');

/** The packages that the service loads, at the start or on demand, with their prerequisites. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  fastify: [],
  dockerode: [],
  pino: [],
  'pino-pretty': [],
  typebox: [],
  undici: [],
  asn1js: [],
  '@sentry/node': [],
};

const METHOD = `A copy of the executable, as installed, compared with a fastify server with HTTPS and one route, in a bundle;
${ROUNDS} starts of each, in turns, with Docker running. The bounds are aims. Unlike the bare server, the service makes its own
certificate, takes a lock and creates its directories before it listens.`;

const BOUGHT = `What keeps the start short and small:

- Fastify does not load its own compilers of schemas, which the service replaces.
- The structure of the certificate is built from the types of ASN.1. A library for certificates took six times as long.
- The parser of YAML is loaded only with a file of nodes.
- A line of the log is searched for secret fields once. Pino's redaction parses each of 36 paths again for each field.
- The executable compares its unpacked files by size and time, and holds them compressed.
- After the start, the service returns freed memory.`;

const LOCALDEV = { APP_ENV: 'localdev', AWS_EC2_METADATA_DISABLED: 'true' };

interface Start {
  /** Milliseconds. */
  readonly listening: number;
  /** KiB. */
  readonly resident: number;
}

function bundle(directory: string, name: string): string {
  const out = join(WORK, name);
  execFileSync(process.execPath, ['scripts/bundle.ts', out, `${directory}/${name}.ts`], { cwd: ROOT });
  return join(out, `${name}.mjs`);
}

/** Starts a program, waits until one of its lines says that it listens, lets it settle, and stops it. */
async function start(
  [program, ...words]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  listens: RegExp,
  settles: RegExp,
): Promise<Start> {
  const beginning = performance.now();
  const child = spawn(program, words, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let listening = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (listens.test(line)) listening ||= performance.now() - beginning;
    if (settles.test(line)) break;
  }
  if (!listening) throw new Error(`${program} ${words.join(' ')} did not start`);
  child.stdout.resume();
  await pause(SETTLED);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  return { listening, resident: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) };
}

/** The milliseconds and KiB that loading a package adds to Node. */
function load(name: string, before: readonly string[]): Start {
  const imports = [...before, name].map((one) => `await import('${one}');`).join(' ');
  const program = `const at = performance.now(), rss = process.memoryUsage.rss(); ${imports}
    console.log(JSON.stringify([performance.now() - at, (process.memoryUsage.rss() - rss) / 1024]));`;
  const runs = Array.from({ length: REPEATS }, (): [number, number] => {
    const words = ['--input-type=module', '--eval', program];
    return JSON.parse(execFileSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' }));
  });
  return { listening: median(runs.map(([at]) => at)), resident: median(runs.map(([, kib]) => kib)) };
}

function packageTable(say: (progress: string) => void): string {
  const costs = Object.entries(PACKAGES).map(([name, before]) => {
    say(`loading ${name}`);
    return { name, ...load(name, before) };
  });
  const [fastify] = costs;
  const lines = costs.map(({ name, listening, resident }) => {
    const [time, memory] = [listening / (fastify?.listening ?? 1), resident / (fastify?.resident ?? 1)];
    return `| ${name} | ${time.toFixed(2)}× | ${memory.toFixed(2)}× |`;
  });
  return [
    'The cost of loading each package into an empty Node, as a multiple of the cost of fastify. `@sentry/node` is',
    'loaded only if `USE_PROD_LOGGING` is on, and `asn1js` only when a certificate is made.',
    '',
    '| package | load time | memory |',
    '| --- | --- | --- |',
    ...lines,
    '',
    BOUGHT,
  ].join('\n');
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const world = await World.open();
  await writePair(WORK);
  const bare = bundle('bench', 'bare-server');
  const root = host.newRoot();
  // The kernel keeps a file that was written in large pieces in large pages, and maps them whole.
  copyFileSync(EXECUTABLE, INSTALLED);

  const startBare = () => start([process.execPath, ...NODE_FLAGS, bare, WORK], {}, /listening/, /listening/);
  const startService = (env: Readonly<Record<string, string>>) =>
    start([INSTALLED], { ROOT: root, ...env }, /"step":"https"/, /"step":"heartbeats"/);
  const rows: Row[] = [];
  const sides = [
    { name: 'in localdev', env: LOCALDEV, listening: 1.5, resident: 1.25 },
    { name: 'with everything on', env: world.settings, listening: 1.8, resident: 1.45 },
  ];
  for (const { name, env, ...aims } of sides) {
    // The first start of a host unpacks and compiles the program.
    await startService(env);
    const starts: [Start, Start][] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      say(`${name}: round ${round} of ${ROUNDS}`);
      const theirs = await startBare();
      starts.push([await startService(env), theirs]);
    }
    rows.push(
      ofPairs(
        `start to listening, ${name}`,
        starts.map(([a, b]) => [a.listening, b.listening]),
        { median: aims.listening, aim: true },
      ),
      ofPairs(
        `idle resident memory, ${name}`,
        starts.map(([a, b]) => [a.resident, b.resident]),
        { median: aims.resident, aim: true },
      ),
    );
  }
  rmSync(INSTALLED);
  await world.close();
  return {
    method: METHOD,
    rows,
    table: packageTable(say),
  };
};
