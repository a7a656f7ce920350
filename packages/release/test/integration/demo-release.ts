/** `make demo-release` demonstrates the release tool on ministack, with real images and real containers. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node-pty';
import { ACCOUNT, AwsHost, docker, LASTING, pushImage, REGISTRY } from '../support/aws-host.ts';
import { ShellAccess } from '../support/shell-access.ts';
import { MAIN, run } from '../support/tool.ts';

const CONFIG = `application: shop
stages:
  staging:
    account: '${ACCOUNT}'
    region: us-east-1
    cluster: shop
    record: s3://releases/shop
    tags: ['staging-{commit}']
images:
  web: { repository: web, registry: '${REGISTRY}', context: ., dockerfile: web.Dockerfile }
  job: { repository: job, registry: '${REGISTRY}', context: ., dockerfile: job.Dockerfile }
services:
  portal: { service: portal, gate: true, containers: { app: { image: web } } }
scheduled:
  nightly: { families: 'nightly-*', containers: { app: { image: job } } }
tasks:
  before: [{ name: migrate, family: portal, command: [/bin/sh, -c, 'echo migrated'] }]
release: { timeout: 2m, poll: 500ms }
`;

const say = (text: string) => process.stdout.write(`\n── ${text}\n`);

const cwd = await mkdtemp(join(tmpdir(), 'demo-release-'));
const dockerfile = (script: string) =>
  `FROM ${REGISTRY}/web:base\nCMD ${JSON.stringify(['/bin/sh', '-c', script])}\n`;

async function write(web: string, job: string): Promise<void> {
  for (const [name, script] of Object.entries({ web, job }))
    await writeFile(join(cwd, `${name}.Dockerfile`), dockerfile(script));
}

/** The words as a user types them in a shell. */
const typed = (words: readonly string[]) =>
  ['ecs-release', ...words].map((word) => (/^[\w=./-]+$/.test(word) ? word : `'${word}'`)).join(' ');

/** Runs a command, and shows its output. */
async function show(commit: string, words: readonly string[], expected = 0): Promise<void> {
  const [command = '', ...rest] = words;
  const all = [command, '--stage', 'staging', '--set', `commit=${commit}`, ...rest];
  process.stdout.write(`$ ${typed(all)}\n`);
  const { code, stdout, stderr } = await run(all, { cwd });
  process.stdout.write(`${stderr}${stdout}exit code ${code}\n`);
  if (code !== expected) throw new Error(`"${words.join(' ')}" exited with ${code}, not ${expected}`);
}

/** Opens a shell on a terminal in a task of the service, and types each line at the prompt. */
async function showShell(lines: readonly string[]): Promise<void> {
  await using access = await ShellAccess.start();
  const words = ['exec', '--stage', 'staging', '--set', 'commit=good', '--service', 'portal'];
  process.stdout.write(`$ ${typed(words)}\n`);
  const env = { ...process.env, ...access.environment };
  const child = spawn(process.env.TEST_NODE ?? process.execPath, [MAIN, ...words], {
    ...{ cwd, env, cols: 100, rows: 30 },
  });
  const left = [...lines];
  let shown = '';
  child.onData((text) => {
    // Busybox asks the terminal for the position of its cursor. The terminal of the person who watches the demo must
    // not answer.
    process.stdout.write(text.replaceAll('\x1b[6n', ''));
    shown += text;
    if (!/[#$] \S*$/.test(shown)) return;
    shown = '';
    child.write(`${left.shift() ?? 'exit'}\r`);
  });
  const exitCode = await new Promise<number>((resolve) => child.onExit((end) => resolve(end.exitCode)));
  process.stdout.write(`exit code ${exitCode}\n`);
  if (exitCode !== 5 || left.length > 0) throw new Error(`the shell ended with ${exitCode}, not 5`);
}

try {
  say('Simulating ECS, ECR, EventBridge and S3 with ministack and a private Docker Engine');
  await using aws = await AwsHost.start();
  await aws.makeCluster('shop');
  for (const name of ['web', 'job']) await aws.makeRepository(name);
  pushImage(`${REGISTRY}/web:base`, LASTING);
  await aws.makeService('shop', 'portal', await aws.register('portal', `${REGISTRY}/web:base`));
  await aws.makeRule('nightly-a', await aws.register('nightly-a', `${REGISTRY}/web:base`));
  await writeFile(join(cwd, 'ecs-release.yaml'), CONFIG);
  say('Show the configuration, ecs-release.yaml');
  process.stdout.write(CONFIG);
  say('Build two images, push them, and release them');
  await write(`echo listening; ${LASTING}`, 'echo the report is written');
  await show('good', ['build']);
  await show('good', ['push']);
  await show('good', ['plan']);
  await show('good', ['deploy']);
  process.stdout.write(docker('ps', '--format', '{{.Names}}  {{.Image}}  {{.Status}}'));
  say('The scheduled task has a new revision; run it by hand, because ministack starts no scheduled tasks');
  await show('good', ['schedules']);
  await show('good', ['run', 'nightly-a']);
  say('A broken release is rolled back, and the tool says why');
  await write('echo no database; exit 7', 'echo the report is written');
  await show('broken', ['build']);
  await show('broken', ['push']);
  await show('broken', ['deploy', '--skip-tasks'], 3);
  say('Run a task once; its exit code is the exit code of the command');
  await show('good', ['run', 'migrate', '--', '/bin/sh', '-c', 'echo a table is locked; exit 4'], 4);
  say('Open a shell in a task of the service; its exit code is the exit code of the command');
  await showShell(['cat /proc/1/cmdline; echo', 'exit 5']);
  say('Show the state and the history of the stage');
  await show('good', ['status']);
  await show('good', ['history']);
} finally {
  await rm(cwd, { recursive: true });
}
