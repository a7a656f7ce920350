/** The log of a container as Docker delivers it, or fails to, and what is kept of it, with a faulty Engine. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type ContainerId, newContainerId } from '../../container/identity.ts';
import { keepLog, keptLog, removeOldLogs } from '../../container/kept-logs.ts';
import { logOf } from '../../container/log-of.ts';
import type { Tracker } from '../../container/tracker.ts';
import { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { openLog } from '../../docker-engine/logs.ts';
import { pathsBelow } from '../../host/paths.ts';
import type { Line } from '../../logging/line.ts';
import { createLogger } from '../../logging/logger.ts';

const DOCKER_ID = 'd'.repeat(64) as DockerId;
const { signal: never } = new AbortController();
const timeOf = (n: number) => `2026-11-22T12:00:00.${String(n).padStart(9, '0')}Z`;
const send = (response: ServerResponse, ...texts: readonly string[]) => {
  for (const [i, text] of texts.entries()) response.write(`${timeOf(i)} ${text}\n`);
  response.end();
};

/** A host whose Engine has one container, with a terminal. @param listener answers a request for its log */
async function hostOf(
  t: TestContext,
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
) {
  const directory = await mkdtempDisposable(join(tmpdir(), 'logs-'));
  const asked: string[] = [];
  let isRunning = false;
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (!request.url?.endsWith('/json')) return void listener(request, response);
    const State = { Running: isRunning };
    const HostConfig = { LogConfig: { Type: 'none' } };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ Config: { Tty: true }, HostConfig, State }));
  });
  await once(server.listen(join(directory.path, 'docker.sock')), 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await directory.remove();
  });
  const lines: Line[] = [];
  const log = createLogger({ level: 'info', stream: { write: (line) => void lines.push(JSON.parse(line)) } });
  const docker = await Docker.open(join(directory.path, 'docker.sock'));
  const paths = pathsBelow(directory.path);
  await mkdir(paths.logs, { recursive: true });
  const id = newContainerId();
  const tracker = { host: { docker, paths }, list: () => [] } as unknown as Tracker;
  return {
    docker,
    lines,
    asked,
    id,
    logs: paths.logs,
    keep: (one = id) => keepLog({ docker, paths, log }, one, DOCKER_ID),
    removeOld: () => removeOldLogs(paths.logs, log),
    files: () => readdir(paths.logs),
    run: () => {
      isRunning = true;
    },
    /** The texts of a kept log after a given line. */
    behind: async (after: string | undefined) => {
      const found = await Array.fromAsync(await logOf(tracker, id, {}, after, never));
      return found.map(({ line }) => line.text);
    },
  };
}

const fileOf = (id: ContainerId) => `${id}.log`;

test('the last 256 KiB of a long log are kept, readable by root only', async (t) => {
  const host = await hostOf(t, (_, response) => {
    send(response, ...Array.from({ length: 5000 }, (_, n) => `${n} ${'\u0000'.repeat(100)}`));
  });
  await host.keep();
  assert.deepEqual(await host.files(), [fileOf(host.id)]);
  const path = join(host.logs, fileOf(host.id));
  const { mode, size } = await stat(path);
  assert.ok((mode & 0o777) === 0o600 && size <= 256 * 1024 && size > 250 * 1024, `${size} bytes`);
  const kept = await keptLog(host.logs, host.id, {});
  assert.deepEqual(kept.at(-1), { at: timeOf(4999), stream: 'stdout', text: `4999 ${'\u0000'.repeat(100)}` });
  assert.deepEqual(
    kept.map(({ text }) => Number.parseInt(text, 10)),
    Array.from({ length: kept.length }, (_, n) => 5000 - kept.length + n),
  );
  assert.match(host.asked.at(-1) ?? '', /[?&]follow=false&.*tail=2000/);
  assert.deepEqual(host.lines, []);
});

for (const [what, level, why, listener] of [
  ['cannot be read', 'info', /the log driver none; read the log where that driver sends it/, 501],
  ['is gone', 'warn', /could not read the log of the container: no$/, 404],
  ['breaks off', 'warn', /its log: aborted/, 'breaks'],
] as const) {
  test(`a log that ${what} is not kept, which is logged once without its content`, async (t) => {
    const host = await hostOf(t, (_, response) => {
      if (listener !== 'breaks') return void response.writeHead(listener).end('{"message":"no"}');
      response.write(`${timeOf(0)} a secret\n`, () => response.destroy());
    });
    await host.keep();
    assert.deepEqual(await host.files(), []);
    const [line, ...others] = host.lines;
    assert.deepEqual([line?.level, line?.container, others], [level, host.id, []]);
    assert.equal(line?.msg, 'the log of a container could not be kept');
    assert.match(String(line?.why), why);
    assert.ok(!JSON.stringify(line).includes('a secret'));
  });
}

test('a log that does not end is abandoned after five seconds', async (t) => {
  const asked = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const host = await hostOf(t, (_, response) => {
    response.on('close', () => closed.resolve());
    response.write(`${timeOf(0)} one\n`, () => asked.resolve());
  });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const kept = host.keep();
  await asked.promise;
  t.mock.timers.tick(5000);
  await kept;
  await closed.promise;
  assert.match(String(host.lines[0]?.why), /reading its log did not finish within 5000 ms/);
  assert.deepEqual(await host.files(), []);
});

test('a log that cannot be kept is reported and delays nothing', async (t) => {
  const host = await hostOf(t, (_, response) => send(response, 'one'));
  await rm(host.logs, { recursive: true });
  await host.keep();
  await host.removeOld();
  assert.match(String(host.lines[0]?.why), /cannot be written: .*ENOENT/);
  assert.equal(host.lines[1]?.msg, 'could not remove old logs of containers');
});

test('the newest thousand logs are kept, also while the service runs', async (t) => {
  const host = await hostOf(t, (_, response) => send(response, 'one'));
  const ids = Array.from({ length: 1002 }, newContainerId);
  for (const [i, id] of ids.entries()) {
    await writeFile(join(host.logs, fileOf(id)), '');
    await utimes(join(host.logs, fileOf(id)), 0, i);
  }
  await host.keep();
  const left = new Set(await readdir(host.logs));
  assert.equal(left.size, 1000);
  assert.ok(left.has(fileOf(host.id)) && left.has(fileOf(ids.at(-1) as ContainerId)));
  assert.ok(ids.slice(0, 3).every((id) => !left.has(fileOf(id))));
});

test('a kept log is found by the first digits of its container, and can be read in part', async (t) => {
  const host = await hostOf(t, (_, response) => send(response, 'one', 'two', 'three'));
  const texts = async (...words: Parameters<typeof keptLog>) =>
    (await keptLog(...words)).map(({ text }) => text);
  await host.keep();
  assert.deepEqual(await texts(host.logs, host.id.slice(0, 6), {}), ['one', 'two', 'three']);
  assert.deepEqual(await texts(host.logs, host.id, { tail: 2 }), ['two', 'three']);
  assert.deepEqual(await texts(host.logs, host.id, { tail: 0 }), []);
  assert.deepEqual(await texts(host.logs, host.id, { stream: 'stderr' }), []);
  const other = `${host.id.slice(0, -1)}${host.id.endsWith('0') ? '1' : '0'}` as ContainerId;
  await host.keep(other);
  await assert.rejects(texts(host.logs, host.id.slice(0, 6), {}), { code: 'container.ambiguous' });
  for (const name of ['..', 'docker.sock', '', '*'])
    await assert.rejects(texts(join(host.logs, 'x'), name, {}), { code: 'container.no_log' });
});

test('a reader that continues repeats a line rather than miss one', async (t) => {
  const host = await hostOf(t, () => assert.fail('Docker must not be asked'));
  const line = (n: number, text: string) => JSON.stringify({ at: timeOf(n), stream: 'stdout', text });
  // Pieces of a line have one time, and two streams are not sorted by their times.
  const all = [line(1, 'a'), line(2, 'b1'), line(2, 'b2'), line(2, 'b3'), line(4, 'd'), line(3, 'c')];
  await writeFile(join(host.logs, fileOf(host.id)), `${all.join('\n')}\n`);
  const behind = async (n: number, number: number) => (await host.behind(`${timeOf(n)}-${number}`)).join(' ');
  assert.equal(await behind(1, 1), 'b1 b2 b3 d c');
  assert.equal(await behind(2, 1), 'b2 b3 d c');
  assert.equal(await behind(2, 3), 'd c');
  assert.equal(await behind(4, 1), 'c');
  assert.equal(await behind(3, 1), 'd c', 'd may have arrived after it');
  assert.equal(await behind(0, 1), 'a b1 b2 b3 d c');
  assert.deepEqual(await host.behind(undefined), ['a', 'b1', 'b2', 'b3', 'd', 'c']);
});

test('Docker is asked for lines since the position, and for the minute before it, in which lines may be unsorted', async (t) => {
  const host = await hostOf(t, (_, response) => send(response, 'one'));
  await Array.fromAsync(
    await openLog(host.docker, DOCKER_ID, { since: timeOf(42), stream: 'stderr' }, never),
  );
  const query = new URL(host.asked.at(-1) ?? '', 'http://x').searchParams;
  assert.deepEqual(Object.fromEntries(query), {
    follow: 'false',
    stdout: 'false',
    stderr: 'true',
    timestamps: 'true',
    since: `${Date.parse('2026-11-22T11:59:00Z') / 1000}.000000042`,
  });
});

test('a log that ends while its container runs counts as cut off', async (t) => {
  const host = await hostOf(t, (_, response) => send(response, 'one'));
  host.run();
  assert.equal((await Array.fromAsync(await openLog(host.docker, DOCKER_ID, {}, never))).length, 1);
  const followed = await openLog(host.docker, DOCKER_ID, { follow: true }, never);
  assert.equal((await followed.next()).value?.text, 'one');
  await assert.rejects(followed.next(), /the stream ended while the container still runs/);
});

test('unread output stays in Docker, and a reader that stops closes the stream', async (t) => {
  let [written, isClosed] = [0, false];
  const answered = Promise.withResolvers<ServerResponse>();
  const host = await hostOf(t, async (_, response) => {
    answered.resolve(response);
    response.on('close', () => {
      isClosed = true;
    });
    for (let n = 0; !isClosed; n++) {
      const text = `${timeOf(n)} ${'x'.repeat(1000)}\n`;
      written += text.length;
      if (!response.write(text)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
  });
  const lines = await openLog(host.docker, DOCKER_ID, { follow: true }, never);
  await lines.next();
  const response = await answered.promise;
  for (let before = -1; before !== written; ) {
    before = written;
    for (let i = 0; i < 100; i++) await turn();
  }
  assert.ok(
    response.writableNeedDrain && written < 4_000_000,
    `${written} bytes were accepted without a reader`,
  );
  const closed = once(response, 'close');
  await lines.return(undefined);
  await closed;
});

test('an incomplete log of a dead writer is removed at the next start', async (t) => {
  const host = await hostOf(t, () => {});
  const draft = `.${fileOf(host.id)}.${crypto.randomUUID()}.tmp`;
  await writeFile(join(host.logs, draft), '{');
  await host.removeOld();
  assert.deepEqual(await host.files(), []);
  assert.equal(await readFile(join(host.logs, draft), 'utf8').catch(() => 'gone'), 'gone');
});
