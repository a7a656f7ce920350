/**
 * The guard that keeps containers from their host's credentials. Here, as on EC2, the addresses of EC2 and ECS are behind a
 * link of the host, so the host forwards a container's packets to them.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import type Dockerode from 'dockerode';
import { ensureNetwork } from '../../managed-nodes/docker/network.ts';
import { IMAGE } from '../../scripts/image.ts';
import { host as hostContainer } from '../support/callers.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const GUARD = join(import.meta.dirname, '../../packaging/metadata-guard.sh');
const ADDRESSES = ['169.254.169.254', '169.254.170.2'];
/** Another address behind the same link without secrets, such as Amazon's clock. */
const HARMLESS = '169.254.169.123';
const SERVER = `require('node:http').createServer((_, response) => response.end('secret')).listen(80, () => console.log('listens'))`;
/** Milliseconds after which a packet counts as lost. */
const LOST = 1500;

/** The part of the service's Docker client that a network needs. */
class ApiDocker {
  readonly #api: Dockerode;

  constructor(api: Dockerode) {
    this.#api = api;
  }

  call(_: string, __: number, work: (signal: AbortSignal, api: Dockerode) => unknown): unknown {
    return work(AbortSignal.timeout(30_000), this.#api);
  }
}

let host: TestHost;
let service: ServiceProcess;
let server: ChildProcess | undefined;
/** The pid of one of its processes. */
let container = 0;

function ip(words: string): void {
  execFileSync('ip', words.split(' '));
}

/** A container's answer from the address. */
function ask(address: string, patience = 30_000, pid = container): string {
  const script = `require('node:http')
    .get('http://${address}/', { timeout: ${patience} }, (answer) => answer.pipe(process.stdout))
    .on('timeout', function () { this.destroy(); })
    .on('error', () => console.log('nothing'))`;
  const words = ['--target', String(pid), '--net', process.execPath, '--eval', script];
  return execFileSync('nsenter', words, { encoding: 'utf8' }).trim();
}

function rules(): string[] {
  const listed = execFileSync('iptables', ['--list-rules', 'DOCKER-USER'], { encoding: 'utf8' });
  return listed.split('\n').filter((line) => line.includes('DROP'));
}

before(async () => {
  host = await TestHost.open();
  ip('address delete 169.254.169.254/32 dev lo');
  ip('netns add beyond');
  ip('link add to-beyond type veth peer name to-host netns beyond');
  ip('address add 192.0.2.1/24 dev to-beyond');
  ip('link set to-beyond up');
  ip('-n beyond address add 192.0.2.2/24 dev to-host');
  ip('-n beyond link set to-host up');
  for (const address of [...ADDRESSES, HARMLESS]) {
    ip(`-n beyond address add ${address}/32 dev to-host`);
    ip(`route add ${address}/32 via 192.0.2.2`);
  }
  server = spawn('ip', ['netns', 'exec', 'beyond', process.execPath, '--eval', SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout as Readable, 'data');
  service = await host.start().ready();
  const dockerId = await hostContainer(service);
  container = (await host.docker.getContainer(dockerId).inspect()).State.Pid;
});
after(async () => {
  server?.kill();
  await service.stop();
  await host[Symbol.asyncDispose]();
});

test("without the guard, a container can get its host's credentials", () => {
  for (const address of [...ADDRESSES, HARMLESS]) assert.equal(ask(address), 'secret', address);
});

test('with the guard, only the addresses that serve credentials do not answer a container', () => {
  execFileSync(GUARD, ['on']);
  for (const address of ADDRESSES) assert.equal(ask(address, LOST), 'nothing', address);
  assert.equal(ask(HARMLESS), 'secret');
});

test('the guard covers containers in other bridge networks too, such as those of managed nodes', async () => {
  const owner = { hostId: 'h', app: 'nodes' };
  await ensureNetwork(new ApiDocker(host.docker) as never, owner);
  const HostConfig = { NetworkMode: owner.app };
  const node = await host.docker.createContainer({ Image: IMAGE, HostConfig });
  await node.start();
  const { Pid } = (await node.inspect()).State;
  for (const address of ADDRESSES) assert.equal(ask(address, LOST, Pid), 'nothing', address);
  assert.equal(ask(HARMLESS, 30_000, Pid), 'secret');
  await node.remove({ force: true });
  await host.docker.getNetwork(owner.app).remove();
});

test('the guard is installed once, however often it is requested', () => {
  execFileSync(GUARD, ['on']);
  assert.equal(rules().length, ADDRESSES.length, rules().join('\n'));
});

test('the guard fails if its state cannot be determined', () => {
  const found = spawnSync('/bin/sh', [GUARD, 'on'], { env: { PATH: '/nowhere' }, encoding: 'utf8' });
  assert.equal(found.status, 1);
  assert.match(found.stderr, /^iptables cannot list the chain DOCKER-USER/m);
});

test('the guard survives a restart of Docker', async () => {
  await host.stopDocker();
  await host.startDocker();
  assert.equal(rules().length, ADDRESSES.length);
});

test('the guard can be removed, and other rules stay', () => {
  const other = ['DOCKER-USER', '--destination', '198.51.100.1', '--jump', 'DROP'];
  execFileSync('iptables', ['--insert', ...other]);
  for (let time = 0; time < 2; time++) execFileSync(GUARD, ['off'], { stdio: 'ignore' });
  assert.deepEqual(rules(), ['-A DOCKER-USER -d 198.51.100.1/32 -j DROP']);
});

/** The guard's output when one of its programs is replaced. @param programs scripts by name */
function guardWith(programs: Readonly<Record<string, string>>, act = 'on') {
  const directory = mkdtempSync('/run/test/programs-');
  for (const [name, script] of Object.entries(programs))
    writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const env = { PATH: `${directory}:${process.env.PATH}` };
  return spawnSync(GUARD, [act], { env, encoding: 'utf8' });
}

test('the guard fails if a network has IPv6 and Docker guards only IPv4', async () => {
  const noChain = { ip6tables: 'exit 1' };
  assert.equal(guardWith(noChain).status, 0);
  const network = await host.docker.createNetwork({
    Name: 'six',
    EnableIPv6: true,
    IPAM: { Driver: 'default', Config: [{ Subnet: 'fd12:3456:789a::/64' }] },
  } as never);
  const failed = guardWith(noChain);
  assert.equal(failed.status, 1, failed.stderr);
  assert.match(failed.stderr, /ip6tables has no chain DOCKER-USER.*fd00:ec2::254/);
  assert.equal(guardWith(noChain, 'off').status, 0);
  const guarded = guardWith({ ip6tables: 'echo "$@" >&2; case "$*" in *--check*) exit 1 ;; esac' });
  assert.equal(guarded.status, 0, guarded.stderr);
  assert.match(guarded.stderr, /--insert DOCKER-USER --destination fd00:ec2::254 --jump DROP/);
  await network.remove();
  // If Docker cannot be asked, there may be such a network.
  assert.equal(guardWith({ ...noChain, docker: 'exit 1' }).status, 1);
});

test('the guard fails and says what to do if Docker has made no rules', async () => {
  await host.stopDocker();
  execFileSync('iptables', ['--flush']);
  execFileSync('iptables', ['--delete-chain']);
  const failed = spawnSync(GUARD, ['on'], { encoding: 'utf8' });
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /^iptables has no chain DOCKER-USER.*"iptables": false/m);
  // There is nothing to remove either.
  execFileSync(GUARD, ['off']);
});
