/** Measures the release tool: the calls to AWS that a deploy makes, how soon it ends, and how soon `--help` answers. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACCOUNT, AwsHost, ENVIRONMENT, REGISTRY } from '../packages/release/test/support/aws-host.ts';
import { FaultProxy } from '../packages/release/test/support/fault-proxy.ts';
import { Rollouts } from '../packages/release/test/support/rollouts.ts';
import { type Measure, ofPairs, row, timed } from './measure.ts';

const ROOT = join(import.meta.dirname, '..');
const TOOL = join(ROOT, 'packages/release/dist/cli/main.js');
const EXECUTABLE = join(ROOT, 'build/ecs-release');
const SERVICES = Array.from({ length: 10 }, (_, i) => `service-${i}`);
const JOBS = Array.from({ length: 20 }, (_, i) => `job-${i}`);
const ROUNDS = 3;
const STARTS = 15;
/** Milliseconds. */
const POLL = 5000;
/** Milliseconds for a tenth of a rollout in the simulated AWS. */
const STEP = 700;

const CONFIG = `
application: shop
stages: { live: { account: '${ACCOUNT}', region: us-east-1, cluster: shop, record: s3://releases/shop, tags: ['{commit}'] } }
images: { web: { repository: web, registry: '${REGISTRY}' } }
services:
${SERVICES.map((name, i) => `  ${name}: { service: ${name}, gate: ${i === 0}, containers: { app: { image: web } } }`).join('\n')}
scheduled: { jobs: { families: 'job-*', containers: { app: { image: web } } } }
release: { poll: ${POLL}ms }
`;

/**
 * The least calls that the APIs allow for one deploy:
 * - DescribeTaskDefinition and RegisterTaskDefinition take one revision each: 2 × 30.
 * - UpdateService takes one service each: 10. ListTargetsByRule and PutTargets take one rule each: 2 × 20.
 * - ListTaskDefinitionFamilies finds the scheduled tasks, and gives 100 families: 1.
 * - DescribeServices takes 10 services. It is needed once for what runs, once for the gate when it has started, and once
 *   for the others: 3. What a longer rollout adds depends on the time between looks, and is left out.
 * - GetCallerIdentity tells whose credentials these are, and DescribeImages the digest of the one image: 2.
 * - S3: the lock is read and taken (2), the record is written before revisions are registered, before the stage changes
 *   and at the end (3), and the lock is given back (1): 6.
 */
const LEAST = 2 * (SERVICES.length + JOBS.length) + SERVICES.length + 2 * JOBS.length + 1 + 3 + 2 + 6;

async function run(
  words: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const [program = '', ...rest] = words;
  const child = spawn(program, rest, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${words.join(' ')} exited with ${code}: ${told}`);
}

interface Deploys {
  readonly calls: readonly [number, number][];
  readonly ends: readonly [number, number][];
}

async function measureDeploys(say: (progress: string) => void): Promise<Deploys> {
  await using aws = await AwsHost.start(false);
  await using proxy = await FaultProxy.start(ENVIRONMENT.AWS_ENDPOINT_URL ?? '');
  const cwd = mkdtempSync(join(tmpdir(), 'bench-release-'));
  writeFileSync(join(cwd, 'ecs-release.yaml'), CONFIG);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  for (const name of SERVICES) await aws.makeService('shop', name, await aws.register(name, 'web:old'));
  for (const job of JOBS) await aws.makeRule(job, await aws.register(job, 'web:old'));
  const deploy = async (commit: string) => {
    await aws.putImage('web', commit);
    const words = [process.execPath, TOOL, 'deploy', '--stage', 'live', '--set', `commit=${commit}`];
    await run(words, cwd, { AWS_ENDPOINT_URL: proxy.url });
  };
  const calls: [number, number][] = [];
  const ends: [number, number][] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    say(`deploy ${round} of ${ROUNDS}`);
    const before = proxy.total;
    await deploy(`quick-${round}`);
    calls.push([proxy.total - before, LEAST]);
    const rollouts = new Rollouts(STEP);
    proxy.reshape = (action, answer) => rollouts.reshape(action, answer);
    await deploy(`slow-${round}`);
    ends.push([performance.now() - rollouts.endedAt, POLL]);
    proxy.reshape = (_, answer) => answer;
  }
  return { calls, ends };
}

export const measure: Measure = async (say) => {
  const { calls, ends } = await measureDeploys(say);
  const start = (...words: readonly string[]) => timed(() => run(words, ROOT));
  const helps: [number, number][] = [];
  const executables: [number, number][] = [];
  for (let round = 1; round <= STARTS; round += 1) {
    say(`start ${round} of ${STARTS}`);
    const empty = await start(process.execPath, '--eval', '0');
    helps.push([await start(process.execPath, TOOL, '--help'), empty]);
    executables.push([await start(EXECUTABLE, '--help'), empty]);
  }
  const worst = Math.max(...ends.map(([taken, poll]) => taken / poll));
  return {
    method: `The command deploys ${SERVICES.length} services and ${JOBS.length} scheduled tasks to ministack, ${ROUNDS} times; a proxy counts its calls. The minimum is one call for each item that an API accepts only singly, and one call for each page of the others. Then rollouts take ${(STEP * 10) / 1000} s, and the tool polls every ${POLL / 1000} s. Its \`--help\` and an empty Node start in turns, ${STARTS} times.`,
    rows: [
      ofPairs('calls to AWS for a deploy over the minimum that the APIs allow', calls, { median: 1.2 }),
      row(
        'time from the end of the last rollout to the end of the deploy, over the polling interval',
        ofPairs('', ends, {}).median,
        worst,
        {
          median: 1,
          p95: 1,
        },
      ),
      ofPairs('ecs-release --help over an empty start of Node', helps, { median: 3 }),
      ofPairs('ecs-release --help of the executable over an empty start of Node', executables, {}),
    ],
  };
};
