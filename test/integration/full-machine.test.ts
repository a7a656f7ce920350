import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer, make, OK, spinUp, startValues, token } from '../support/callers.ts';
import type { Reply } from '../support/https.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** A root directory, or one directory in it, on its own small filesystem. */
async function withDisk(below: string, use: (root: string, disk: string) => Promise<void>): Promise<void> {
  const root = host.newRoot();
  const disk = join(root, below);
  const run = join(root, 'run');
  mount(disk);
  // As on any host, the run directory is never on the same filesystem.
  if (disk === root) mount(run);
  try {
    await use(root, disk);
    assert.deepEqual(
      (await host.filesBelow(root)).filter((file) => file !== below),
      [],
      'files are left',
    );
  } finally {
    if (disk === root) execFileSync('umount', ['--lazy', run]);
    execFileSync('umount', ['--lazy', disk]);
    if (below) rmSync(disk, { recursive: true });
  }
}

function mount(directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=755', 'tmpfs', directory]);
}

/** Fills the disk; returns a function that makes room again. */
function fill(root: string): () => void {
  const file = join(root, 'filler');
  for (let size = 131_072; size >= 1; size = Math.floor(size / 2)) {
    try {
      while (true) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch {
      // Now half of it is free.
    }
  }
  return () => rmSync(file);
}

function refused({ status, body }: Reply, why: RegExp): void {
  assert.equal(status, 406);
  assert.match(JSON.parse(body).error, why);
}

async function servesOn(service: ServiceProcess): Promise<void> {
  assert.equal((await service.get('/healthz')).status, 200);
  const port = await host.hostPort(await hostContainer(service));
  assert.deepEqual(await startValues(service, port), OK);
  assert.deepEqual(await token(service, port), OK);
}

test('on a full disk, a container is refused with what to do, and leaves nothing behind', () =>
  withDisk('', async (root) => {
    const service = await host.start({ env: { ROOT: root } }).ready();
    const makeRoom = fill(root);
    refused(await spinUp(service), /cannot be written: ENOSPC.*free some space/);
    assert.deepEqual(await host.docker.listContainers({ all: true }), []);
    assert.deepEqual(service.heldByContainers(), []);
    makeRoom();
    await servesOn(service);
    assert.equal(await service.stop(), 0);
  }));

test('while the ledger cannot be written, a new container is refused, and an existing one cannot be claimed', () =>
  withDisk('run', async (root, disk) => {
    const service = await host.start({ env: { ROOT: root } }).ready();
    const port = await host.hostPort(await hostContainer(service));
    const makeRoom = fill(disk);
    assert.match(
      (await make(service)).body,
      /the ledger cannot be written in .*ENOSPC.*free some space there/,
    );
    refused(await startValues(service, port), /the ledger cannot be written in .*ENOSPC/);
    makeRoom();
    assert.deepEqual(await startValues(service, port), OK);
    assert.equal((await host.docker.listContainers({ all: true })).length, 1);
    assert.equal(await service.stop(), 0);
  }));

test('start values and a token that arrive on a full disk are refused, change nothing, and can be sent again', () =>
  withDisk('', async (root) => {
    const service = await host.start({ env: { ROOT: root } }).ready();
    const port = await host.hostPort(await hostContainer(service));
    let makeRoom = fill(root);
    refused(await startValues(service, port), /DPI cannot be written: ENOSPC/);
    makeRoom();
    assert.deepEqual(await startValues(service, port), OK);
    makeRoom = fill(root);
    refused(await token(service, port), /userConfig cannot be written: ENOSPC/);
    const [id = ''] = readdirSync(join(root, 'fractal')).filter((name) => name !== 'temp');
    const mappings = join(root, 'fractal', id, 'containerResourceMappings');
    assert.ok(!existsSync(join(mappings, '.ready')));
    makeRoom();
    assert.deepEqual(await token(service, port), OK);
    assert.ok(existsSync(join(mappings, '.ready')));
    assert.equal(readFileSync(join(mappings, 'DPI'), 'utf8'), '96');
    assert.equal(await service.stop(), 0);
  }));

test('read-only directories cause containers to be refused, and containers are accepted again when they are writable', () =>
  withDisk('fractal', async (root, disk) => {
    const service = await host.start({ env: { ROOT: root } }).ready();
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    refused(await spinUp(service), /cannot be written: EROFS.*make it writable/);
    assert.deepEqual(service.heldByContainers(), []);
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    await servesOn(service);
    assert.equal(await service.stop(), 0);
  }));

test('a host without consoles refuses containers and says what is missing', async (t) => {
  const consoles = Array.from({ length: 54 }, (_, i) => `/dev/tty${10 + i}`);
  for (const path of consoles) execFileSync('mount', ['--bind', '/dev/null', path]);
  t.after(() => {
    for (const path of consoles) execFileSync('umount', [path]);
  });
  const service = await host.start().ready();
  refused(
    await spinUp(service),
    /has none of \/dev\/tty10 to \/dev\/tty63; it needs a kernel with virtual consoles/,
  );
  assert.deepEqual(service.heldByContainers(), []);
  assert.equal((await service.get('/healthz')).status, 200);
  assert.equal(await service.stop(), 0);
});

test('a host without free ports refuses containers and names the kernel setting that takes the ports', async (t) => {
  const setting = '/proc/sys/net/ipv4/ip_local_port_range';
  const range = readFileSync(setting, 'utf8');
  // All ports but two: a container needs three, and a tcp and a udp port may have the same number.
  writeFileSync(setting, '1025\t49149');
  t.after(() => writeFileSync(setting, range));
  const service = await host.start().ready();
  assert.match(
    (await make(service)).body,
    /no tcp port is free for a container: .*net\.ipv4\.ip_local_port_range/,
  );
  assert.deepEqual(await host.docker.listContainers({ all: true }), []);
  assert.deepEqual(service.heldByContainers(), []);
  assert.equal(await service.stop(), 0);
});

test('a clock that jumps by a year, forwards and back, does not affect containers', async () => {
  const service = await host.start({ entry: 'dying-service.ts', arguments: ['clock-jumps'] }).ready();
  const port = await host.hostPort(await hostContainer(service));
  assert.deepEqual(await token(service, port), OK, 'it is kept until the start values arrive');
  for (const year of ['a year ahead', 'a year behind', 'right again']) {
    const from = service.other.length;
    service.child.kill('SIGURG');
    await service.wrote('jumped', from);
    assert.equal((await service.get('/healthz')).status, 200, year);
    await hostContainer(service);
  }
  assert.deepEqual(await startValues(service, port), OK);
  await service.message('container is ready');
  assert.equal(await service.stop(), 0);
});
