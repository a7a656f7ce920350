import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { IDENTITY } from '../src/options.ts';
import { eventually, World } from './support/world.ts';

const PACKAGE = join(import.meta.dirname, '..');
const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
const examples = globSync('example/*.ts', { cwd: PACKAGE }).sort();
const source = (example: string): string => readFileSync(join(PACKAGE, example), 'utf8');

test('the README has a row for each option that the environment can set', () => {
  for (const [option, variable] of Object.entries(IDENTITY)) {
    assert.match(readme, new RegExp(`\\| \`${option}\` +\\| \`${variable}\` `), option);
  }
});

test('each example of the README is a file, and each example file is in the README', () => {
  const blocks = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  assert.deepEqual(new Set(blocks), new Set(examples.map(source)));
});

test('the examples type-check', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'examples-'));
  const project = join(directory.path, 'tsconfig.json');
  await writeFile(
    project,
    JSON.stringify({
      extends: join(PACKAGE, '../../tsconfig.json'),
      compilerOptions: {
        paths: { 'echostream-node': [join(PACKAGE, 'src/echostream-node.ts')] },
        typeRoots: [join(PACKAGE, '../../node_modules/@types')],
      },
      files: examples.map((example) => join(PACKAGE, example)),
      exclude: [],
    }),
  );
  await promisify(execFile)('tsc', ['--project', project]);
});

/** Runs an example in its own process, with the environment of a node. */
function run(world: World, example: string, ...words: string[]) {
  const { options } = world;
  const identity = Object.entries(IDENTITY).map(([option, variable]) => [
    variable,
    options[option as 'name'],
  ]);
  const child = spawn(
    process.execPath,
    ['--import', join(PACKAGE, 'test/support/from-source.ts'), ...words, join(PACKAGE, example)],
    {
      cwd: PACKAGE,
      env: { PATH: process.env.PATH, APP: 'app', ...Object.fromEntries(identity), ...world.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = once(child, 'close');
  return {
    output: () => output,
    errors: () => errors,
    stop: async (signal?: NodeJS.Signals) => {
      if (signal) child.kill(signal);
      assert.deepEqual(await ended, [0, null], `${basename(example)} ends: ${errors}`);
    },
  };
}

test('the application node receives, sends and audits, and a signal ends it with exit code 0', async () => {
  await using world = await World.start();
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  incoming.put('g', 'hello');
  const example = run(world, 'example/application-node.ts');
  await eventually(() => outgoing.messages.length === 100 && incoming.messages.length === 0);
  await example.stop('SIGTERM');
  assert.match(example.output(), /^Got a message:\nhello$/m);
  assert.equal(world.audits.flatMap(({ auditRecords }) => auditRecords).length, 101);
});

test('the managed node sends the result of each message', async () => {
  await using world = await World.start();
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  incoming.put('g', 'hello');
  const example = run(world, 'example/managed-node.ts');
  await eventually(() => incoming.messages.length === 0);
  await example.stop('SIGINT');
  assert.deepEqual(
    outgoing.messages.map(({ body, group }) => [body, group]),
    [['HELLO', 'g']],
  );
});

test('the concurrent node handles messages, and sets aside one that always fails', async () => {
  await using world = await World.start();
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  incoming.put('good', world.url.replace('http:', 'data:text/plain,'));
  incoming.put('bad', 'no URL');
  // It has failed four times before.
  for (const message of incoming.messages) message.receiveCount = 4;
  const example = run(world, 'example/concurrency.ts');
  await eventually(() => incoming.messages.length === 0);
  await example.stop('SIGHUP');
  assert.equal(outgoing.messages.length, 1);
  assert.match(example.errors(), /^The message [0-9a-f]{32} is set aside: .*Failed to parse URL/m);
});

test('bulk data is stored, and a message carries its URL', async () => {
  await using world = await World.start();
  const outgoing = world.queue('out');
  world.queue('in');
  await run(world, 'example/bulk-data.ts').stop();
  const { url } = JSON.parse(outgoing.messages[0]?.body ?? '');
  assert.equal(world.uploads.get(url)?.toString(), readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
});

test('a running node is notified of a change of its configuration', async () => {
  await using world = await World.start();
  world.node = { ...world.node, config: '{"interval":10}' };
  world.queue('in');
  const example = run(world, 'example/config-changes.ts');
  await eventually(() => example.output().includes('the time has come'));
  // The receiver has started too.
  await eventually(() => world.queue('in').calls.length >= 2);
  await example.stop('SIGTERM');
});

for (const [example, body, expected] of [
  ['example/lambda-node.ts', 'hello', 'Got a message:\nhello\nundefined\n'],
  ['example/partial-success.ts', '{"id":1,"amount":-1}', '{"batchItemFailures":[{"itemIdentifier":"id"}]}\n'],
] as const) {
  test(`the function of ${example} handles an event`, async () => {
    await using world = await World.start();
    world.queue('out');
    const event = {
      Records: [
        {
          messageId: 'id',
          receiptHandle: 'r',
          body,
          attributes: { MessageGroupId: 'g' },
          messageAttributes: {},
          eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:in.fifo',
        },
      ],
    };
    const call = `data:text/javascript,${encodeURIComponent(
      `const { handler } = await import(${JSON.stringify(pathToFileURL(join(PACKAGE, example)).href)});
       console.log(JSON.stringify(await handler(${JSON.stringify(event)})));`,
    )}`;
    const child = run(world, example, '--import', call);
    await child.stop();
    assert.equal(child.output(), expected);
  });
}
