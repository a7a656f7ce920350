/** The host ports that belong to managed nodes, even before a service has read the feed. */

import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ClaimedPorts } from '../../host/claimed-ports.ts';
import { createLogger } from '../../logging/logger.ts';

const WEB = { port: 8080, protocol: 'tcp' };
const DNS = { port: 53, protocol: 'udp' };

function logTo(lines: string[]) {
  return createLogger({ level: 'warn', stream: { write: (line: string) => void lines.push(line) } });
}

async function openedAt(path: string, lines: string[] = []): Promise<ClaimedPorts> {
  const claimed = new ClaimedPorts();
  await claimed.keepIn(path, logTo(lines));
  return claimed;
}

test('the ports of nodes are known to the next service before it has read the feed', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'ports-'));
  const path = join(directory.path, 'ports.json');
  const first = await openedAt(path);
  assert.equal(first.has('tcp', 8080), false);
  await first.claim(new Map([['web', [WEB]]]));
  const second = await openedAt(path);
  assert.deepEqual([second.has('tcp', 8080), second.has('udp', 8080)], [true, false]);
  await second.claim(new Map([['dns', [DNS]]]));
  const third = await openedAt(path);
  assert.deepEqual([third.has('tcp', 8080), third.has('udp', 53)], [false, true]);
});

test('a node whose spec is invalid keeps its ports, even after a restart', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'ports-'));
  const path = join(directory.path, 'ports.json');
  const first = await openedAt(path);
  await first.claim(new Map([['web', [WEB]]]));
  const second = await openedAt(path);
  await second.claim(new Map([['dns', [DNS]]]), ['web', 'other']);
  assert.deepEqual([second.has('tcp', 8080), second.has('udp', 53)], [true, true]);
  const third = await openedAt(path);
  await third.claim(new Map(), ['web']);
  assert.deepEqual([third.has('tcp', 8080), third.has('udp', 53)], [true, false]);
});

test('ports that cannot be stored or read are still claimed once the feed has been read', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'ports-'));
  const lines: string[] = [];
  const path = join(directory.path, 'ports.json');
  await writeFile(path, '{"web": 8080}');
  const damaged = await openedAt(path, lines);
  const nowhere = await openedAt(join(directory.path, 'missing', 'ports.json'), lines);
  for (const claimed of [damaged, nowhere]) {
    assert.equal(claimed.has('tcp', 8080), false);
    await claimed.claim(new Map([['web', [WEB]]]));
    assert.equal(claimed.has('tcp', 8080), true);
  }
  assert.equal(lines.length, 2, lines.join(''));
});
