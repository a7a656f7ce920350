/** Programs in containers, and writers to the bucket, that try to make the service touch files that are not theirs. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { importArchive } from '../../scripts/image.ts';
import { encrypt } from '../../user-configs/age.ts';
import { deriveIdentity, recipientOf } from '../../user-configs/config-key.ts';
import { askTcp, claim } from '../support/callers.ts';
import { S3 } from '../support/s3.ts';
import { TOKEN } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const SWAPPER = 'test/link-swapper:1';
const BUILD = join(import.meta.dirname, '../../build');
/** A user's file, in whose place the hostile program makes its tree. */
const NAME = 'preferences';
const SESSIONS = 3;
/** As many files as a directory of the hostile program has. */
const FILES = 200;

let host: TestHost;
/** A directory of the host that no container gets. */
let victim: string;
before(async () => {
  host = await TestHost.open();
  victim = mkdtempSync('/run/test/victim-');
  for (let i = 0; i < FILES; i++)
    writeFileSync(join(victim, `file${i}`), `of the host ${i}`, { mode: 0o600 });
  const command = JSON.stringify(['/link-swapper', victim, NAME]);
  await importArchive(host.docker, SWAPPER, ['-C', BUILD, 'link-swapper'], `CMD ${command}`);
});
afterEach(() => host.finish());
after(() => host[Symbol.asyncDispose]());

async function start(s3: S3) {
  const root = host.newRoot();
  const service = await host.start({ env: { ...s3.settings, ROOT: root } }).ready();
  return { root, service };
}

/** A user with one file in S3. */
async function leaveFile(service: ServiceProcess, root: string, s3: S3): Promise<void> {
  const container = await host.container(service, root);
  await claim(service, container.port);
  writeFileSync(join(container.files, NAME), 'of the user');
  await host.docker.getContainer(container.dockerId).kill();
  await service.gone(container.id);
  while (!(await s3.keys()).some((key) => key.endsWith('current.json'))) await pause(10);
}

/** The output of a container, as soon as it matches. */
async function said(dockerId: string, what: RegExp): Promise<string> {
  for (;;) {
    const text = String(await host.docker.getContainer(dockerId).logs({ stdout: true }));
    if (what.test(text)) return text;
    await pause(20);
  }
}

function contentOf(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );
}

test('a program that swaps directories for links during a restore affects no file of the host', async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  await leaveFile(service, root, s3);
  const untouched = contentOf(victim);
  for (let session = 1; session <= SESSIONS; session++) {
    const container = await host.container(service, root, { image: SWAPPER });
    while (!existsSync(join(container.files, 'ready'))) await pause(10);
    const claimed = claim(service, container.port);
    await claimed.catch(() => {});
    assert.deepEqual(contentOf(victim), untouched, `session ${session}`);
    await claimed;
    assert.equal(readFileSync(join(container.files, NAME), 'utf8'), 'of the user');
    assert.ok(
      !existsSync(join(container.own, 'replaced')),
      'the tree in the way is removed while the container runs',
    );
    assert.match(await said(container.dockerId, /exchanged: .*/), /exchanged: yes, the tree is gone/);
    await host.docker.getContainer(container.dockerId).kill();
    await service.gone(container.id);
    assert.ok(!existsSync(container.own));
  }
  assert.deepEqual(contentOf(victim), untouched);
  assert.equal(await service.stop(), 0);
});

/** Replaces a user's archive, as anyone can who can write to the bucket and knows the recipient. */
async function forge(s3: S3, words: readonly string[]): Promise<void> {
  const tar = execFileSync('tar', ['-c', '--format=posix', ...words]);
  const archive = execFileSync('zstd', ['-q', '-c'], { input: tar });
  const sealed = Buffer.concat([...encrypt(recipientOf(deriveIdentity(TOKEN)), [archive])]);
  for (const key of await s3.keys()) if (key.endsWith('.age')) await s3.write(key, sealed);
}

test("a stored archive whose tree is a link counts as damaged, and its container gets nothing of the link's target", async () => {
  await using s3 = await S3.open();
  const { root, service } = await start(s3);
  await leaveFile(service, root, s3);
  const untouched = contentOf(victim);
  for (const lead of [victim, join(root, 'fractalprivate'), '..']) {
    const place = mkdtempSync('/run/test/forge-');
    symlinkSync(lead, join(place, 'tree'));
    await forge(s3, ['-C', place, 'tree']);
    const container = await host.container(service, root);
    await claim(service, container.port);
    assert.equal((await askTcp(container.port)).userConfig, 'damaged', lead);
    // The program in it counts its visits there.
    assert.deepEqual(readdirSync(container.files), ['visits'], lead);
    await host.docker.getContainer(container.dockerId).kill();
    await service.gone(container.id);
  }
  assert.deepEqual(contentOf(victim), untouched);
  assert.equal(await service.stop(), 0);
});
