/** Races and malformed input when operators follow events or send a token. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Events, MISSED } from '../../container/events.ts';
import { goneWith, sendEvents } from '../../httpserver/v1/event-stream.ts';
import { RotatingSecret } from '../../settings/rotating-secret.ts';

const TOKEN = 'the-operators-token-of-unit-tests-1';
const SECOND = 'the-operators-token-of-unit-tests-2';
const { signal: never } = new AbortController();
const tell = (events: Events, ...causes: number[]) => {
  for (const cause of causes)
    events.tell({} as never, { to: 'created', code: 'created', cause: `${cause}` } as never);
};
const heard = async (follower: ReturnType<Events['follow']>) => {
  const { value } = await follower.next();
  return value === MISSED ? MISSED : value?.cause;
};
const open = (environment: NodeJS.ProcessEnv) => {
  const reports: string[] = [];
  const secret = new RotatingSecret({
    name: 'OPERATOR_TOKEN',
    environment,
    onValue: () => {},
    report: (why) => reports.push(why),
  });
  return { secret, reports };
};
const directory = () => mkdtempDisposable(join(tmpdir(), 'operator-edges-'));

test('a client that misses more events after a notice gets another notice', async () => {
  const events = new Events(2);
  const follower = events.follow('none', never);
  tell(events, 1);
  assert.equal(await heard(follower), MISSED);
  tell(events, 2, 3, 4, 5); // 1 was listed by the client; 2 and 3 are in no list, and not kept
  assert.equal(await heard(follower), MISSED);
});

test('an id with trailing characters is malformed', async () => {
  const events = new Events();
  const first = events.follow(undefined, never);
  const one = first.next();
  tell(events, 1);
  const { value } = await one;
  assert.ok(value && value !== MISSED);
  tell(events, 2);
  assert.equal(await heard(events.follow(`${value.id}-junk`, never)), MISSED);
});

test('"from now on" means from the moment of the call', async () => {
  const events = new Events();
  const follower = events.follow(undefined, never);
  tell(events, 1, 2);
  const next = heard(follower);
  tell(events, 3);
  assert.equal(await next, '1');
});

test('a file that was missing at first is used once it exists', async () => {
  await using made = await directory();
  const file = join(made.path, 'token');
  const { secret } = open({ OPERATOR_TOKEN_FILE: file });
  await writeFile(file, TOKEN, { mode: 0o600 });
  assert.equal(secret.current, TOKEN);
});

test('a file that is a link to itself is unusable', async () => {
  await using made = await directory();
  const file = join(made.path, 'token');
  await writeFile(file, TOKEN, { mode: 0o600 });
  const { secret, reports } = open({ OPERATOR_TOKEN_FILE: file });
  await rm(file);
  await symlink(file, file);
  assert.equal(secret.current, undefined);
  assert.equal(reports.length, 1);
});

test('a file with a relative path is read again', async () => {
  await using made = await directory();
  process.chdir(made.path);
  await writeFile('token', TOKEN, { mode: 0o600 });
  const { secret } = open({ OPERATOR_TOKEN_FILE: 'token' });
  await writeFile('token', SECOND);
  const { current } = secret;
  process.chdir('/');
  assert.equal(current, SECOND);
});

test('a credential that has disappeared is reported', async () => {
  await using made = await directory();
  const file = join(made.path, 'OPERATOR_TOKEN');
  await writeFile(file, TOKEN, { mode: 0o600 });
  const { secret, reports } = open({ CREDENTIALS_DIRECTORY: made.path });
  await rm(file);
  assert.equal(secret.current, undefined);
  assert.equal(reports.length, 1);
});

test('a stream ends with its client, even if its source does not know about the client', {
  timeout: 3000,
}, async (t) => {
  await using made = await directory();
  let [go, ended] = [Promise.withResolvers<void>(), false];
  async function* source() {
    try {
      for (let n = 0; n < 10; n++) {
        await go.promise;
        yield { event: 'one', data: { n } };
      }
    } finally {
      ended = true;
    }
  }
  const sent = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    response.on('close', () => closed.resolve());
    sendEvents(response, source(), goneWith(response)).then(sent.resolve, sent.reject);
  }).listen(join(made.path, 'socket'));
  t.after(() => server.close());
  await once(server, 'listening');
  const socket = connect(join(made.path, 'socket')).on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: host\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  await closed.promise;
  go.resolve();
  await sent.promise;
  assert.ok(ended);
});
