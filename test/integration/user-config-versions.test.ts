/** The stored versions of a user's files, as operators see them through a container. */

import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { host as hostContainer, OK, startValues, token, USER } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { S3 } from '../support/s3.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
afterEach(() => host.finish());
after(() => host[Symbol.asyncDispose]());

/** A container of the user. @returns its id, docker id, and the directory of its files */
async function visit(service: ServiceProcess, root: string, fields: Readonly<Record<string, string>> = {}) {
  const container = await host.container(service, root);
  assert.deepEqual(await startValues(service, container.port, fields), OK);
  assert.deepEqual(await token(service, container.port, fields), OK);
  return container;
}

test("an operator lists and restores the versions of a container's user, without learning who that is", async () => {
  await using s3 = await S3.open();
  const root = host.newRoot();
  const spool = join(root, 'var/lib/ecs-host-service/spool');
  const service = await host.start({ env: { ...s3.settings, ROOT: root } }).ready();
  const operator = new Operator(root);
  for (const text of ['first', 'second']) {
    const { dockerId, id, files } = await visit(service, root);
    writeFileSync(join(files, 'file'), text);
    chownSync(join(files, 'file'), 1000, 1000);
    await host.docker.getContainer(dockerId).kill();
    await service.gone(id);
    while (readdirSync(spool).length > 0) await pause(10);
  }
  const used = await visit(service, root);
  assert.equal(readFileSync(join(used.files, 'file'), 'utf8'), 'second');
  const path = `/v1/containers/${used.id.slice(0, 12)}/user-config`;
  const listed = await operator.get(path);
  assert.equal(listed.status, 200);
  const [latest, first] = listed.body.versions;
  assert.deepEqual([latest.current, first.current, first.changes, first.aside], [true, false, false, false]);
  assert.ok(!JSON.stringify(listed.body).includes(USER.split('@')[0] as string));

  const restored = await operator.ask('PUT', path, { version: first.version });
  assert.deepEqual(
    restored.body.versions.map(({ current }: { current: boolean }) => current),
    [false, true],
  );
  assert.equal(readFileSync(join(used.files, 'file'), 'utf8'), 'second', 'a container keeps its files');
  const next = await visit(service, root);
  assert.equal(readFileSync(join(next.files, 'file'), 'utf8'), 'first');

  const unknown = await operator.ask('PUT', path, { version: 'v1' });
  assert.deepEqual([unknown.status, unknown.body.title], [404, 'config.no_version']);
  const invalid = await operator.ask('PUT', path, { version: '', user: USER });
  assert.deepEqual([invalid.status, invalid.body.title], [400, 'request.invalid']);
  const unassigned = await host.containerIdOf(await hostContainer(service));
  const none = await operator.get(`/v1/containers/${unassigned}/user-config`);
  assert.deepEqual([none.status, none.body.title], [409, 'config.none']);
  assert.match(none.body.detail, /is not assigned to a user yet/);
  const nobody = await visit(service, root, { user_id: '' });
  assert.match(
    (await operator.get(`/v1/containers/${nobody.id}/user-config`)).body.detail,
    /without a user id/,
  );
  assert.equal(await service.stop(), 0);
  assert.ok(!existsSync(used.files));
});

test('on a host without a bucket for user configs, a container has no versions', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const { id } = await visit(service, root);
  const { status, body } = await new Operator(root).get(`/v1/containers/${id}/user-config`);
  assert.equal(status, 409);
  assert.match(body.detail, /keeps no user configs; set USER_CONFIG_BUCKET/);
  assert.equal(await service.stop(), 0);
});
