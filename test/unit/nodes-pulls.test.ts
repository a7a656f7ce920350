/** The pulls of the images of nodes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeImages } from '../../managed-nodes/docker/node-images.ts';
import { silentLog, turn } from '../support/reconciler-site.ts';

test('three images are pulled at a time, and nodes that need the same one share its pull', async () => {
  const ends: (() => void)[] = [];
  const pulls = {
    async follow() {
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      return (async function* () {
        await promise;
        yield { event: 'pulled', data: { digest: 'sha256:1' } };
      })();
    },
  };
  const images = new NodeImages({
    docker: {} as never,
    pulls: pulls as never,
    defaultRegistry: undefined,
    credentials: async () => undefined,
    log: silentLog,
  });
  const { signal } = new AbortController();
  const names = ['a', 'b', 'c', 'd', 'e'].map((name) => `registry.example.com/${name}:1`);
  const asked = [...names, ...names].map((name) => images.pull(name, signal));
  await turn();
  assert.equal(ends.length, 3);
  ends[1]?.();
  await turn();
  assert.equal(ends.length, 4);
  for (let next = 0; next < names.length; next++) {
    ends[next]?.();
    await turn();
  }
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(['sha256:1']));
  assert.equal(ends.length, names.length);
});
