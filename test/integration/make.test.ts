import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { TestHost } from '../support/test-host.ts';

const ROOT = join(import.meta.dirname, '../..');

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());

test('make run hosts containers in localdev until Ctrl-C', async () => {
  const root = host.newRoot();
  const env = { ...process.env, ROOT: root };
  const make = spawn('make', ['run'], {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines: string[] = [];
  for await (const line of createInterface({ input: make.stdout })) {
    lines.push(line);
    // Ctrl-C reaches every process of the terminal's foreground group.
    if (line.includes('hosting containers')) spawnSync('kill', ['-INT', '--', `-${make.pid}`]);
  }
  if (make.exitCode === null && make.signalCode === null) await once(make, 'exit');
  assert.match(lines.at(-1) ?? '', /"exitCode":0,"msg":"ended"/);
  assert.deepEqual(await host.filesBelow(root), []);
});

test('the bundle runs without the packages from which it was built', () => {
  const bundle = join(ROOT, 'build/bundle/ecs-host-service.mjs');
  const { stdout, status } = spawnSync(process.execPath, [bundle, 'version'], { cwd: '/', encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, '0.1.0\n']);
  const service = spawnSync(process.execPath, [bundle, 'run'], {
    cwd: '/',
    encoding: 'utf8',
    env: { APP_ENV: 'none' },
  });
  assert.match(service.stdout, /APP_ENV: must be one of/);
});

test('from a checkout, the program runs by its name from any directory', () => {
  const { stdout, status } = spawnSync(join(ROOT, 'ecs-host-service'), ['version'], {
    cwd: '/',
    encoding: 'utf8',
  });
  assert.deepEqual([status, stdout], [0, '0.1.0\n']);
});

test('an unknown command prints one line', () => {
  const program = join(ROOT, 'src/ecs-host-service.ts');
  const { stderr, status } = spawnSync(process.execPath, [program, 'fly'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.equal(stderr, 'There is no command "fly". "ecs-host-service help" lists all commands.\n');
});

test('the log is readable text on a terminal, and JSON elsewhere', () => {
  const program = `${process.execPath} ${join(ROOT, 'src/ecs-host-service.ts')}`;
  const env = { PATH: process.env.PATH, APP_ENV: 'none' };
  const terminal = spawnSync('script', ['-qec', program, '/dev/null'], { encoding: 'utf8', env });
  assert.match(terminal.stdout, /FATAL.*these settings cannot be used/);
  const pipe = spawnSync('sh', ['-c', program], { encoding: 'utf8', env });
  assert.match(JSON.parse(pipe.stdout).msg, /^these settings cannot be used/);
});
