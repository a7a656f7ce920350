/** The command `pull`, for various answers of a service. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connect } from '../../src/operator/client.ts';
import { type PullWords, pull } from '../../src/operator/pull.ts';
import { REGISTRY_PASSWORD } from '../support/secrets.ts';

const MIB = 2 ** 20;
const HOSTILE = 'a\u001b]0;owned\u0007\u009b2J\u202e\nb';
const PULLED = { image: 'a:latest', digest: 'sha256:abc', id: 'sha256:def', size: 3 * MIB };

interface Ran {
  readonly printed: string[];
  readonly error: unknown;
  /** The requests. */
  readonly asked: unknown;
}

interface Run {
  readonly words?: Partial<PullWords>;
  readonly environment?: NodeJS.ProcessEnv;
  readonly isJson?: boolean;
  readonly columns?: number;
}

/** Runs it against a service that gives this answer. */
async function run(
  t: TestContext,
  answer: (response: ServerResponse) => void,
  options: Run = {},
): Promise<Ran> {
  const { words, environment = {}, isJson = false, columns } = options;
  const socket = join(tmpdir(), `api-${randomUUID()}.sock`);
  let asked = '';
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      asked = body;
      answer(response);
    });
  });
  await once(server.listen(socket), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const api = await connect({ socket });
  const printed: string[] = [];
  let error: unknown;
  try {
    const wanted = { image: 'a', platform: undefined, user: undefined, ...words };
    for await (const line of pull(api, wanted, environment, { isJson, columns })) printed.push(line);
  } catch (reason) {
    error = reason;
  }
  return { printed, error, asked: asked && JSON.parse(asked) };
}

const events =
  (...all: readonly (readonly [string, object])[]) =>
  (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(all.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(''));
  };

const progress = (status: string, current: number, total: number) =>
  [
    'progress',
    {
      layers: [
        { id: 'abc', status },
        { id: 'def', status: 'Pull complete' },
      ],
      bytes: { current, total },
    },
  ] as const;

test('without a terminal, a pull prints one line for each step of a layer, however many bytes arrive', async (t) => {
  const { printed, error } = await run(
    t,
    events(
      progress('Downloading', 1, 10),
      progress('Downloading', 5, 10),
      progress('Pull complete', 10, 10),
      ['pulled', PULLED],
    ),
  );
  assert.equal(error, undefined);
  assert.deepEqual(printed.join('').split('\n'), [
    'abc: Downloading',
    'def: Pull complete',
    'abc: Pull complete',
    'a:latest is on this host: sha256:abc, 3.0 MiB',
    '',
  ]);
});

test('on a terminal, a pull is one line that is redrawn and never exceeds the width', async (t) => {
  const answer = events(progress('Downloading', MIB, 4 * MIB), progress('Extracting', 4 * MIB, 4 * MIB), [
    'pulled',
    PULLED,
  ]);
  assert.deepEqual((await run(t, answer, { columns: 80 })).printed, [
    '\r\u001b[Ka: 1 of 2 layers, 1.0 of 4.0 MiB (25 %)',
    '\r\u001b[Ka: 1 of 2 layers, 4.0 of 4.0 MiB (100 %)',
    '\r\u001b[Ka:latest is on this host: sha256:abc, 3.0 MiB\n',
  ]);
  const [drawn] = (await run(t, answer, { columns: 10 })).printed;
  assert.equal(drawn, '\r\u001b[Ka: 1 of 2');
});

test('as JSON, a pull is its events, one per line, including the last one of a failure', async (t) => {
  const problem = { type: 'about:blank', title: 'image.not_pulled', status: 502, detail: HOSTILE };
  const { printed, error } = await run(t, events(progress('Waiting', 0, 0), ['failed', problem]), {
    isJson: true,
  });
  assert.match(String(error), /image\.not_pulled: a�/);
  const lines = printed.join('').trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)).map(({ event }) => event),
    ['progress', 'failed'],
  );
  assert.equal(JSON.parse(lines.at(-1) ?? '').detail, HOSTILE);
  assert.doesNotMatch(lines.join(''), /[\p{Cc}\p{Cf}]/u);
});

test('control sequences from a registry do not reach the terminal', async (t) => {
  const failed = { type: 'about:blank', title: HOSTILE, status: 502, detail: HOSTILE };
  const within = await run(t, events(progress(HOSTILE, 0, 0), ['failed', failed]));
  const before = await run(t, (response) => response.writeHead(502).end(JSON.stringify(failed)));
  const after = await run(t, events(['pulled', { ...PULLED, image: HOSTILE }]));
  const said = [...within.printed, String(within.error), String(before.error), ...after.printed];
  const lines = said.flatMap((one) => one.trimEnd().split('\n'));
  for (const line of lines) assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\u2028]/u);
  assert.deepEqual(said.length, 5, said.join('|'));
});

test('a pull whose service disconnects has failed', async (t) => {
  const broken = [
    events(progress('Waiting', 0, 0)),
    events(['pulled?', PULLED]),
    (response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: pulled\ndata: {"image"', () => response.destroy());
    },
    (response: ServerResponse) => response.writeHead(200).end('event: pulled\ndata: {"image"\n\n'),
  ];
  for (const answer of broken) {
    const { error } = await run(t, answer);
    assert.equal((error as { code?: string }).code, 'operator.broken_off', String(error));
  }
});

test('the password of a registry comes from the environment or a file, and requires a user', async (t) => {
  const words = { user: 'user', platform: 'linux/arm64' };
  const environment = { REGISTRY_PASSWORD };
  const answer = events(['pulled', PULLED]);
  const given = await run(t, answer, { words, environment });
  const registryAuth = { username: 'user', password: REGISTRY_PASSWORD };
  assert.deepEqual(given.asked, { image: 'a', platform: 'linux/arm64', registryAuth });
  assert.deepEqual((await run(t, answer, { environment })).asked, { image: 'a' });
  const missing = await run(t, answer, { words });
  assert.match(String(missing.error), /needs a password in REGISTRY_PASSWORD or REGISTRY_PASSWORD_FILE/);
  assert.equal(missing.asked, '');
});
