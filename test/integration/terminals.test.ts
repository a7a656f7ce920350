/** A person at a terminal in a container, with a real pseudo-terminal at both ends. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { NODE_FLAGS } from '../support/node-flags.ts';
import { Operator } from '../support/operator.ts';
import { Person } from '../support/person.ts';
import { importShellImage, SHELL_IMAGE } from '../support/shell-image.ts';
import { TestHost } from '../support/test-host.ts';

const PROGRAM = join(import.meta.dirname, '../../src/ecs-host-service.ts');

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShellImage(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

function at(root: string, words: readonly string[]): Person {
  const env = { PATH: process.env.PATH as string, ROOT: root };
  return new Person(process.execPath, [...NODE_FLAGS, PROGRAM, ...words], { env });
}

async function containerOn(root: string): Promise<string> {
  const { status, body } = await new Operator(root).ask('POST', '/v1/containers', {
    image: SHELL_IMAGE,
    app: 'demo',
  });
  assert.equal(status, 201, JSON.stringify(body));
  return body.id;
}

test('a person works in a shell of a container as in one of their own', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const id = await containerOn(root);
  const person = at(root, ['exec', '-it', id]);
  await person.sees(/# /);
  person.type('stty size; echo $((6 * 7))\r');
  await person.sees(/24 80\r\n42\r\n/);
  person.resize(100, 30);
  person.type('stty size\r');
  await person.sees(/30 100\r\n/);
  person.type('exit 7\r');
  assert.equal(await person.ended(), 7);
  assert.equal(await service.stop(), 0, service.log());
});
