import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { functionZip, layerZip } from '../scripts/lambda-zip.ts';
import { IDENTITY } from '../src/options.ts';
import { invoke, unpack } from './support/lambda.ts';
import { World } from './support/world.ts';

/** The oldest Node version that the library supports, and the one that runs the tests. */
const NODES = [
  [
    '22',
    join(import.meta.dirname, `../../../tools/node-22/node_modules/node-linux-${process.arch}/bin/node`),
  ],
  ['24', process.execPath],
] as const;

function environmentOf(world: World): Record<string, string> {
  const identity = Object.entries(IDENTITY).map(([option, variable]) => [
    variable,
    world.options[option as 'name'],
  ]);
  return { PATH: process.env.PATH ?? '', ...Object.fromEntries(identity), ...world.environment };
}

function eventOf(...bodies: readonly string[]) {
  return {
    Records: bodies.map((body) => ({
      messageId: body,
      receiptHandle: 'r',
      body,
      attributes: { ApproximateReceiveCount: '1', MessageGroupId: 'g' },
      messageAttributes: {},
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:in.fifo',
      awsRegion: 'us-east-1',
    })),
  };
}

const good = '{"id":1,"amount":1}';
const bad = '{"id":2,"amount":-1}';

for (const [line, node] of NODES) {
  test(`a function from its zip handles events on Node ${line}, and reports failures`, async () => {
    await using world = await World.start();
    await using directory = await mkdtempDisposable(join(tmpdir(), 'function-'));
    unpack(await functionZip(join(import.meta.dirname, '../example/partial-success.ts')), directory.path);
    const outcomes = await invoke(
      {
        node,
        directory: directory.path,
        file: 'index.mjs',
        environment: environmentOf(world),
      },
      [eventOf(good), eventOf(good, bad, 'behind it'), {}],
    );
    assert.deepEqual(outcomes.slice(0, 2), [
      { kind: 'response', body: null },
      {
        kind: 'response',
        body: { batchItemFailures: [{ itemIdentifier: bad }, { itemIdentifier: 'behind it' }] },
      },
    ]);
    assert.equal(outcomes[2]?.kind, 'error');
    assert.equal(world.cognito.signIns, 1);
  });

  test(`a function that loads the library from a layer handles an event on Node ${line}`, async () => {
    await using world = await World.start();
    await using directory = await mkdtempDisposable(join(tmpdir(), 'layer-'));
    unpack(await layerZip(), join(directory.path, 'opt'));
    const code = `const { LambdaNode } = require('echostream-node');
    class Count extends LambdaNode {
      async handleReceivedMessage({ message }) { await this.auditMessage(message, { extraAttributes: { size: message.body.length } }); }
    }
    exports.handler = new Count().handler;`;
    await writeFile(join(directory.path, 'index.cjs'), code);
    const environment = {
      ...environmentOf(world),
      NODE_PATH: join(directory.path, 'opt/nodejs/node_modules'),
    };
    const outcomes = await invoke({ node, directory: directory.path, file: 'index.cjs', environment }, [
      eventOf('three'),
    ]);
    assert.deepEqual(outcomes, [{ kind: 'response', body: null }]);
    assert.deepEqual(world.audits[0]?.auditRecords[0]?.attributes, { size: 5 });
  });
}

test('the same sources produce the same zip', async () => {
  const [one, two] = [await layerZip(), await layerZip()];
  assert.ok(Buffer.from(one).equals(two));
});
