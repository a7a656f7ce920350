import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fastify } from 'fastify';
import { askWho, whoKnows } from '../../httpserver/v1/authority.ts';
import type { Sent } from '../../httpserver/v1/event-stream.ts';
import { Routes } from '../../httpserver/v1/routes.ts';

const [FIRST, SECOND] = [1, 2].map((n) => `the-operators-token-of-unit-tests-${n}`) as [string, string];

const FIRST_EVENT = 'data: {}\n\n';
const SIGN_OF_LIFE = ':\n\n';

async function* untilAborted(signal: AbortSignal): AsyncGenerator<Sent> {
  yield { event: 'first', data: {} };
  if (!signal.aborted) await once(signal, 'abort');
}

/** Reads until the received text ends with `wanted`, or until the end. @returns whether it is the end */
async function heard(chunks: AsyncIterator<string>, wanted?: string): Promise<boolean> {
  for (let read = ''; wanted === undefined || !read.endsWith(wanted); ) {
    const { value, done } = await chunks.next();
    if (done) return true;
    read += value;
  }
  return false;
}

test('a stream ends soon after its token was replaced, and one with the new token continues', {
  timeout: 20_000,
}, async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  await using directory = await mkdtempDisposable(join(tmpdir(), 'routes-'));
  const path = join(directory.path, 'socket');
  let token = FIRST;
  const authority = whoKnows(() => token);
  const app = fastify();
  askWho(app, authority);
  const closing = new AbortController();
  t.after(async () => {
    closing.abort();
    await app.close();
  });
  new Routes(app, authority).stream('/stream', closing.signal, {
    summary: '',
    handle: (_, gone) => untilAborted(gone),
  });
  await app.listen({ path });
  const open = async (): Promise<AsyncIterator<string>> => {
    const headers = { authorization: `Bearer ${token}` };
    const [response] = await once(
      get({ socketPath: path, path: '/stream', headers, agent: false }),
      'response',
    );
    assert.equal(response.statusCode, 200);
    return response.setEncoding('utf8')[Symbol.asyncIterator]();
  };
  const tick = () => t.mock.timers.tick(15_000);
  const old = await open();
  assert.equal(await heard(old, FIRST_EVENT), false);
  tick();
  assert.equal(await heard(old, SIGN_OF_LIFE), false);
  token = SECOND;
  const fresh = await open();
  assert.equal(await heard(fresh, FIRST_EVENT), false);
  tick();
  assert.equal(await heard(old), true);
  tick();
  assert.equal(await heard(fresh, SIGN_OF_LIFE + SIGN_OF_LIFE), false);
});
