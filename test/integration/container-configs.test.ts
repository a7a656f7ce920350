/** The user's files in containers, through the service's own calls, with a stand-in for S3. */

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { prefixOf } from '../../user-configs/object-keys.ts';
import { askTcp, OK, startValues, token, USER } from '../support/callers.ts';
import { S3 } from '../support/s3.ts';
import { TOKEN } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { KILLED } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const APP = 'demo';
let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
afterEach(() => host.finish());
after(() => host[Symbol.asyncDispose]());

async function start(s3: S3, env: Readonly<Record<string, string>> = {}) {
  const root = env.ROOT ?? host.newRoot();
  const service = await host.start({ env: { ...s3.settings, ...env, ROOT: root } }).ready();
  return { root, service, spool: join(root, 'var/lib/ecs-host-service/spool') };
}

/** A container of a user, and what its program found. */
async function visit(service: ServiceProcess, root: string) {
  const container = await host.container(service, root);
  await startValues(service, container.port);
  assert.deepEqual(await token(service, container.port), OK);
  return { ...container, found: await askTcp(container.port) };
}

async function kill(
  service: ServiceProcess,
  { dockerId, id }: { dockerId: string; id: string },
): Promise<void> {
  await host.docker.getContainer(dockerId).kill();
  await service.gone(id);
}

function put(files: string, name: string, content: string | Buffer): void {
  writeFileSync(join(files, name), content);
  chownSync(join(files, name), 1000, 1000);
}

async function emptied(spool: string): Promise<void> {
  while (readdirSync(spool).length > 0) await pause(10);
}

test("S7: a user's files follow the user from container to container, owned by uid 1000 with their modes", async () => {
  await using s3 = await S3.open();
  const { root, service, spool } = await start(s3);
  const first = await visit(service, root);
  assert.deepEqual([first.found.userConfig, first.found.visits], ['new', 0]);
  writeFileSync(join(first.files, 'private'), 'p', { mode: 0o600 });
  await kill(service, first);
  assert.ok(!existsSync(first.own));
  const second = await visit(service, root);
  assert.deepEqual([second.found.userConfig, second.found.visits], ['restored', 1]);
  const { uid, mode } = lstatSync(join(second.files, 'private'));
  assert.deepEqual([uid, mode & 0o777], [1000, 0o600], 'nothing becomes readable by other users');
  assert.equal(lstatSync(second.files).mode & 0o777, 0o700);
  await kill(service, second);
  await emptied(spool);
  assert.equal(await service.stop(), 0);
  const keys = await s3.keys();
  assert.ok(keys.length > 0 && keys.every((key) => key.startsWith(prefixOf(USER, APP))), keys.join(' '));
});

test('S6: the token is on no disk and no command line, and the stored object does not contain it', async () => {
  await using s3 = await S3.open();
  const { root, service, spool } = await start(s3);
  const container = await visit(service, root);
  await s3.turn('away');
  const texts = readdirSync(container.own).filter((name) => lstatSync(join(container.own, name)).isFile());
  assert.deepEqual(texts, ['user-config.json']);
  for (const name of texts) assert.ok(!readFileSync(join(container.own, name), 'utf8').includes(TOKEN), name);
  await kill(service, container);
  assert.ok(readdirSync(spool).length > 0);
  for (const name of readdirSync(spool))
    assert.ok(!readFileSync(join(spool, name), 'latin1').includes(TOKEN), name);
  await s3.turn('none');
  assert.equal(await service.stop(), 0);
});

test("S9: the files of a user are stored under the user's own key, whatever the user name", async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  for (const user of ['../other', 'a/b', 'a\u0000b', 'u'.repeat(2000)]) {
    const container = await host.container(service, root);
    await startValues(service, container.port, { user_id: user });
    assert.deepEqual(await token(service, container.port, { user_id: user }), OK);
    assert.equal((await askTcp(container.port)).userConfig, 'new');
    await kill(service, container);
  }
  assert.equal(await service.stop(), 0);
  const prefixes = new Set((await s3.keys()).map((key) => key.split('/').slice(0, 2).join('/')));
  assert.equal(prefixes.size, 4);
  assert.ok((await s3.keys()).every((key) => /^v1\/[\w.@%~-]+\/demo\/[\w.+/-]+$/.test(key)));
});

test('a container without a user, or without set-up, has no user config', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  const container = await host.container(service, root);
  await startValues(service, container.port, { user_id: '' });
  await token(service, container.port, { user_id: '' });
  assert.equal((await askTcp(container.port)).userConfig, 'none');
  await kill(service, container);
  await kill(service, await host.container(service, root));
  assert.equal(await service.stop(), 0);
  assert.deepEqual([await s3.keys(), s3.requests], [[], []]);
});

test('C9: with a damaged config the container becomes ready without it, is told so, and does not replace it', async () => {
  await using s3 = await S3.open();
  const { root, service, spool } = await start(s3);
  await kill(service, await visit(service, root));
  await emptied(spool);
  await s3.turn('flip');
  const second = await visit(service, root);
  assert.deepEqual([second.found.userConfig, second.found.visits], ['damaged', 0]);
  await s3.turn('none');
  await kill(service, second);
  const third = await visit(service, root);
  assert.deepEqual([third.found.userConfig, third.found.visits], ['restored', 1]);
  assert.equal(await service.stop(), 0);
  assert.ok((await s3.keys()).some((key) => key.includes('/aside/')));
});

test('C6: while one container waits for its config, other containers are made, set up and ended', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  await s3.turn('silent');
  const slow = await host.container(service, root);
  await startValues(service, slow.port);
  const answered = token(service, slow.port);
  while (s3.requests.length === 0) await pause(5);
  const key = s3.requests[0]?.key ?? '';
  // It tells that user nothing, however often it is asked.
  await s3.turn('silent', { below: key.slice(0, key.lastIndexOf('/')) });
  let done = false;
  void answered.then(() => {
    done = true;
  });
  const other = await host.container(service, root);
  await startValues(service, other.port, { user_id: 'other' });
  assert.deepEqual(await token(service, other.port, { user_id: 'other' }), OK);
  await kill(service, other);
  assert.equal(done, false);
  await s3.turn('none');
  assert.deepEqual(await answered, OK);
  assert.equal(await service.stop(), 0);
});

test('a container that ends while its config is downloaded blocks nothing', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  await s3.turn('silent');
  const container = await host.container(service, root);
  await startValues(service, container.port);
  const answered = token(service, container.port);
  while (s3.requests.length === 0) await pause(5);
  await kill(service, container);
  assert.equal((await answered).status, 406);
  await s3.turn('none');
  assert.equal(await service.stop(), 0);
  assert.deepEqual(await s3.keys(), []);
});

test('C10: if S3 is unreachable when the service ends, the config waits for the next start, and nothing else is left', async () => {
  await using s3 = await S3.open();
  const { root, service, spool } = await start(s3);
  await visit(service, root);
  await s3.turn('away');
  assert.equal(await service.stop(), 0);
  assert.equal((await service.line(({ msg }) => msg.includes('stay on this host'))).configs, 1);
  assert.equal(existsSync(join(root, 'fractal')), false);
  assert.equal(lstatSync(spool).mode & 0o777, 0o700);
  await s3.turn('none');
  const next = await start(s3, { ROOT: root });
  await emptied(spool);
  assert.equal((await visit(next.service, root)).found.visits, 1);
  assert.equal(await next.service.stop(), 0);
});

test('C10: the directories of a config that cannot be saved stay until it can be saved', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3, { USER_CONFIG_SPOOL_LIMIT: '100KiB' });
  const container = await visit(service, root);
  put(container.files, 'large', randomBytes(1_000_000));
  await host.docker.getContainer(container.dockerId).kill();
  await service.line(({ container: id, msg }) => id === container.id && msg === 'container is gone');
  assert.ok(existsSync(join(container.files, 'large')));
  assert.ok(
    service.lines.some(
      ({ level, msg }) => level === 'error' && msg === 'a cleanup or task did not end properly',
    ),
  );
  rmSync(join(container.files, 'large'));
  assert.equal(await service.stop(), 0, 'the end retries it once more');
  assert.ok((await s3.keys()).some((key) => key.includes('/versions/')));
});

test('a starting service saves what a killed service did not save, also without a ledger, and then removes the files', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  const container = await visit(service, root);
  const other = await visit(service, root);
  await service.stop('SIGKILL');
  await host.docker.getContainer(other.dockerId).remove({ force: true });
  // As by a reboot.
  rmSync(join(root, 'run'), { recursive: true });
  const next = await start(s3, { ROOT: root });
  for (const id of [container.id, other.id]) {
    await next.service.line(
      (line) => line.container === id && /^saved the user config of a container/.test(line.msg),
    );
  }
  assert.deepEqual(readdirSync(join(root, 'fractal')), ['temp']);
  assert.equal((await visit(next.service, root)).found.visits, 1);
  assert.equal(await next.service.stop(), 0);
  assert.equal(
    (await s3.keys()).filter((key) => key.includes('/versions/')).length,
    3,
    'both saves are kept',
  );
  // The next service does not remove its directories.
  await host.abandon(next.service);
  await host.abandon(service);
});

test('if a host is lost with its disk, the last checkpoint remains', async () => {
  await using s3 = await S3.open();
  const lost = await start(s3, { USER_CONFIG_CHECKPOINT_SECONDS: '1' });
  const container = await visit(lost.service, lost.root);
  put(container.files, 'made', 'after it was ready');
  const isCurrent = ({ key, status }: { key: string; status: number | undefined }) =>
    key.endsWith('current.json') && status === 200;
  const current = () => s3.requests.filter((one) => one.method === 'PUT' && isCurrent(one)).length;
  while (current() < 2) {
    put(container.files, 'changing', String(current()));
    await pause(50);
  }
  await lost.service.stop('SIGKILL');
  await host.abandon(lost.service);
  const { root, service } = await start(s3);
  const second = await visit(service, root);
  assert.deepEqual([second.found.userConfig, second.found.visits], ['restored', 1]);
  assert.equal(readFileSync(join(second.files, 'made'), 'utf8'), 'after it was ready');
  assert.equal(await service.stop(), 0);
});

test('if two containers of one user run at once, one save becomes current and the other is kept beside it', async () => {
  await using s3 = await S3.open();
  const { root, service, spool } = await start(s3);
  const [one, other] = [await visit(service, root), await visit(service, root)];
  await kill(service, one);
  await emptied(spool);
  await kill(service, other);
  await emptied(spool);
  await service.line(({ level, msg }) => level === 'warn' && /kept beside/.test(msg));
  assert.equal((await visit(service, root)).found.visits, 1);
  assert.equal(await service.stop(), 0);
});

test('a half-written record of a known save is removed by bury, and otherwise by the next start', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  const seen = join(root, 'var/lib/ecs-host-service/seen-configs');
  const draft = join(seen, `.${'ab'.repeat(32)}.${randomUUID()}.tmp`);
  await service.stop('SIGKILL');
  writeFileSync(draft, '{');
  const env = { ...s3.settings, ROOT: root };
  assert.equal(await host.start({ env: { ...env, ...KILLED }, arguments: ['bury'] }).ended(), 0);
  assert.ok(!existsSync(draft));
  mkdirSync(seen, { recursive: true });
  writeFileSync(draft, '{');
  const { service: next } = await start(s3, { ROOT: root });
  assert.ok(!existsSync(draft));
  assert.equal(await next.stop(), 0);
});
