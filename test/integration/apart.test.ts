/** Hosted containers cannot reach each other in Docker's default bridge, whatever root in one of them tries. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { ContainerId } from '../../container/identity.ts';
import { INTERACTIVE, TASK } from '../../container/labels.ts';
import { Apart } from '../../container/network/apart.ts';
import type { Inspected } from '../../docker-engine/answers.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { importArchive } from '../../scripts/image.ts';
import { claim, host as hostContainer } from '../support/callers.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const BUILD = join(import.meta.dirname, '../../build');
const IMAGE = 'tests/network-attack:1';
const SWEEPER = 'tests/network-sweeper:1';
/** Its program attacks the first container of the bridge immediately. */
const HASTY = 'tests/network-hasty:1';
/** A port that is not published. */
const PORT = '7777';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  const program = ['-C', BUILD, 'network-attack'];
  await importArchive(host.docker, IMAGE, program, `CMD ["/network-attack", "listen", "${PORT}"]`);
  await importArchive(host.docker, SWEEPER, program, 'CMD ["/network-attack", "sweep", "4"]');
  await importArchive(
    host.docker,
    HASTY,
    program,
    `CMD ["/network-attack", "hurry", "172.17.0.2", "${PORT}"]`,
  );
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Place {
  readonly id: string;
  readonly address: string;
  readonly mac: string;
}

async function placeOf(id: string): Promise<Place> {
  const { NetworkSettings } = await host.docker.getContainer(id).inspect();
  const [{ IPAddress, MacAddress } = { IPAddress: '', MacAddress: '' }] = Object.values(
    NetworkSettings.Networks,
  );
  return { id, address: IPAddress, mac: MacAddress };
}

/** Two hosted containers, once their programs listen. */
async function hostTwo(service: ServiceProcess): Promise<[Place, Place]> {
  const hosted = [];
  for (const _ of [1, 2]) {
    const id = await hostContainer(service, { image: IMAGE });
    await said(id, /listens/);
    hosted.push(await placeOf(id));
  }
  return hosted as [Place, Place];
}

async function logOf(id: string): Promise<string> {
  return String(await host.docker.getContainer(id).logs({ stdout: true, stderr: true }));
}

async function said(id: string, words: RegExp): Promise<void> {
  await until(`${id} prints ${words}`, async () => words.test(await logOf(id)));
}

/** The output of the attack that root in a container runs. */
function attack({ id }: { readonly id: string }, ...words: string[]): string {
  return execFileSync('docker', ['exec', id, '/network-attack', ...words], { encoding: 'utf8' }).trim();
}

/** A container that is not hosted, from arguments of Docker's command line. */
async function runOrdinary(...words: string[]): Promise<Place> {
  const id = execFileSync('docker', ['run', '--detach', ...words, IMAGE], { encoding: 'utf8' }).trim();
  await said(id, /listens/);
  return await placeOf(id);
}

function isolation(): boolean[] {
  const ports = JSON.parse(execFileSync('bridge', ['-json', '-details', 'link'], { encoding: 'utf8' }));
  return ports
    .filter(({ master }: { master?: string }) => master === 'docker0')
    .map(({ isolated }: { isolated: boolean }) => isolated);
}

async function withService(run: (service: ServiceProcess) => Promise<void>): Promise<void> {
  const service = await host.start().ready();
  await run(service);
  assert.equal(await service.stop(), 0);
}

test('a hosted container cannot reach an unpublished port of its neighbour, and gets no answer to ARP', async () => {
  await withService(async (service) => {
    const [one, other] = await hostTwo(service);
    assert.equal(attack(one, 'connect', other.address, PORT), 'nothing');
    assert.equal(attack(one, 'ask', other.address), 'nothing');
    assert.equal(attack(other, 'ask', one.address), 'nothing');
    // The attack itself works: it reaches the gateway.
    assert.equal(attack(one, 'ask', '172.17.0.1'), 'answered');
  });
});

test('a hosted container is isolated before its program starts', async () => {
  await withService(async (service) => {
    await hostTwo(service);
    for (let time = 0; time < 3; time++) {
      const id = await hostContainer(service, { image: SWEEPER });
      await host.docker.getContainer(id).wait();
      assert.equal((await logOf(id)).replaceAll(/[^\w: .]/g, '').trim(), 'swept');
    }
  });
});

test("a starting container can neither use its neighbour's addresses nor send to it, before Docker has reported the start", async () => {
  await using engine = await FaultyEngine.open();
  const service = await host.start({ env: engine.settings }).ready();
  const [one] = await hostTwo(service);
  assert.equal(one.address, '172.17.0.2');
  const socket = createSocket('udp4');
  socket.send('from the host', Number(PORT), one.address);
  await said(one.id, /from the host/);
  socket.close();

  const held = engine.spoil(/^POST \S+\/start/, 'held');
  const hosting = hostContainer(service, { image: HASTY });
  await held;
  const [hasty] = await host.docker.listContainers({ all: true, filters: { ancestor: [HASTY] } });
  await said(hasty?.Id ?? assert.fail(), /hurried/);
  const entry = execFileSync('ip', ['neighbour', 'show', one.address], { encoding: 'utf8' });
  engine.release();
  await hosting;
  assert.match(entry, new RegExp(one.mac));
  assert.doesNotMatch(await logOf(one.id), /injected/);
  assert.equal(await service.stop(), 0);
});

test('the gateway routes no packets from a hosted container to its neighbour', async () => {
  await withService(async (service) => {
    const [one, other] = await hostTwo(service);
    attack(one, 'inject', other.address, PORT);
    const socket = createSocket('udp4');
    // Anything that would arrive later has arrived by then.
    socket.send('from the host', Number(PORT), other.address);
    await said(other.id, /got from the host/);
    socket.close();
    assert.doesNotMatch(await logOf(other.id), /injected/);
  });
});

test("a hosted container cannot take over its neighbour's addresses, in the host's ARP table or in the bridge's table", async () => {
  await withService(async (service) => {
    const [one, other] = await hostTwo(service);
    const entry = () => execFileSync('ip', ['neighbour', 'show', other.address], { encoding: 'utf8' });
    const ports = () => execFileSync('bridge', ['fdb', 'show'], { encoding: 'utf8' });
    const portOf = () =>
      /^(\S+ dev \S+) /.exec(
        ports()
          .split('\n')
          .find((line) => line.startsWith(`${other.mac} `)) ?? '',
      )?.[1];
    const socket = createSocket('udp4');
    socket.send('from the host', Number(PORT), other.address);
    await said(other.id, /from the host/);
    const before = portOf();
    assert.ok(before);
    attack(one, 'claim', other.address);
    attack(one, 'steal', other.mac);
    assert.match(entry(), new RegExp(other.mac));
    assert.equal(portOf(), before);
    socket.close();
  });
});

test('published ports, and containers that are not hosted, stay reachable', async () => {
  await withService(async (service) => {
    const [one, other] = await hostTwo(service);
    const first = await runOrdinary();
    const second = await runOrdinary();
    assert.equal(attack(first, 'connect', second.address, PORT), 'reached');
    assert.equal(attack(one, 'connect', first.address, PORT), 'reached');
    assert.equal(attack(first, 'connect', one.address, PORT), 'reached');
    const listening = spawn('docker', ['exec', other.id, '/network-attack', 'listen', '32262']);
    await once(listening.stdout, 'data');
    const port = await host.hostPort(other.id);
    assert.equal(attack(one, 'connect', '172.17.0.1', String(port)), 'reached');
    listening.kill();
    for (const { id } of [first, second]) await host.docker.getContainer(id).remove({ force: true });
  });
});

/** Makes it with Docker's command line. @returns its docker id */
function runHosted(site: Site, ...words: string[]): string {
  const run = ['--host', `unix://${site.dockerProxy}`, 'run', '--detach', '--label', `${INTERACTIVE}=true`];
  return execFileSync('docker', [...run, ...words], { encoding: 'utf8' }).trim();
}

test('containers that share a network namespace with a hosted one reach each other and are isolated from all others', async () => {
  const site = new Site(host);
  const service = await site.start();
  const [one] = await hostTwo(service);
  const task = ['--label', `${TASK}=arn:task/1`];
  const other = await runOrdinary('--publish', '32262', ...task);
  const command = ['/network-attack', 'listen', '8888'];
  const id = runHosted(site, ...task, '--network', `container:${other.id}`, IMAGE, ...command);
  assert.equal(attack({ id }, 'connect', one.address, PORT), 'nothing');
  assert.equal(attack({ id }, 'ask', one.address), 'nothing');
  assert.equal(attack({ id }, 'connect', '127.0.0.1', PORT), 'reached');
  assert.equal(attack(one, 'connect', other.address, '8888'), 'nothing');
  await host.docker.getContainer(id).remove({ force: true });
  await host.docker.getContainer(other.id).remove({ force: true });
  assert.equal(await service.stop(), 0);
});

test('linked hosted containers reach each other and no other containers', async () => {
  const site = new Site(host);
  const service = await site.start();
  const [third] = await hostTwo(service);
  const start = async (...more: string[]) => {
    const id = runHosted(site, ...more, IMAGE);
    await said(id, /listens/);
    return await placeOf(id);
  };
  const one = await start('--name', 'one');
  const other = await start('--link', 'one:alias');
  assert.equal(attack(other, 'connect', one.address, PORT), 'reached');
  assert.equal(attack(one, 'connect', other.address, PORT), 'reached');
  for (const linked of [one, other]) {
    assert.equal(attack(linked, 'connect', third.address, PORT), 'nothing');
    assert.equal(attack(third, 'connect', linked.address, PORT), 'nothing');
  }
  assert.equal(await service.stop(), 0);
  for (const { id } of [one, other]) await host.docker.getContainer(id).remove({ force: true });
});

test('hosted containers in a user-defined network reach each other and nobody in the default bridge', async () => {
  const site = new Site(host);
  const service = await site.start();
  const network = await host.docker.createNetwork({ Name: 'theirs' });
  const [one] = await hostTwo(service);
  const start = async () => {
    const words = [
      '--host',
      `unix://${site.dockerProxy}`,
      'run',
      '--detach',
      '--label',
      `${INTERACTIVE}=true`,
    ];
    const id = execFileSync('docker', [...words, '--network', 'theirs', IMAGE], { encoding: 'utf8' }).trim();
    await said(id, /listens/);
    return await placeOf(id);
  };
  const first = await start();
  const second = await start();
  assert.equal(attack(first, 'connect', second.address, PORT), 'reached');
  assert.equal(attack(first, 'connect', one.address, PORT), 'nothing');

  // A container that is connected to the default bridge later is isolated there.
  await host.docker.getNetwork('bridge').connect({ Container: first.id });
  await host.docker.getNetwork('bridge').connect({ Container: second.id });
  const { NetworkSettings } = await host.docker.getContainer(second.id).inspect();
  const later = NetworkSettings.Networks.bridge?.IPAddress ?? '';
  assert.equal(attack(first, 'connect', later, PORT), 'nothing');
  assert.equal(attack(first, 'connect', one.address, PORT), 'nothing');
  assert.equal(await service.stop(), 0);
  for (const { id } of [first, second]) await host.docker.getContainer(id).remove({ force: true });
  await network.remove();
});

test('after the service dies, a container in use stays isolated, also from containers that start later', async () => {
  const site = new Site(host);
  const service = await site.start();
  const [one] = await hostTwo(service);
  await claim(service, await host.hostPort(one.id));
  await site.kill(service);
  const next = await site.start();
  const [later] = await hostTwo(next);
  assert.equal(attack(later, 'connect', one.address, PORT), 'nothing');
  assert.equal(attack(one, 'ask', later.address), 'nothing');
  const ordinary = await runOrdinary();
  await until('its port is free', () => isolation().filter((isolated) => !isolated).length === 1);
  assert.equal(attack(ordinary, 'connect', one.address, PORT), 'reached');
  await host.docker.getContainer(ordinary.id).remove({ force: true });
  assert.equal(await next.stop(), 0);
});

test('containers that keep running while Docker restarts stay isolated, also from containers that start later', async () => {
  await host.stopDocker();
  await host.startDocker(['--live-restore']);
  await withService(async (service) => {
    const [one, other] = await hostTwo(service);
    const from = service.lines.length;
    await host.stopDocker();
    await host.startDocker(['--live-restore']);
    await service.message('Docker is back', from);
    const [later] = await hostTwo(service);
    for (const neighbour of [other, later]) {
      assert.equal(attack(one, 'connect', neighbour.address, PORT), 'nothing');
      assert.equal(attack(neighbour, 'ask', one.address), 'nothing');
    }
    attack(other, 'claim', one.address);
    const entry = execFileSync('ip', ['neighbour', 'show', one.address], { encoding: 'utf8' });
    assert.doesNotMatch(entry, new RegExp(other.mac));
    assert.equal(attack(one, 'ask', '172.17.0.1'), 'answered');
  });
});

test('a container without a port is refused while its program runs, and not if the program has ended before Docker knows it', async (t) => {
  const program = spawn('sleep', ['1000']);
  t.after(() => program.kill('SIGKILL'));
  await once(program, 'spawn');
  const bridge = { mac: '02:42:ac:11:00:63', address: '172.17.0.99', prefix: 16, gateway: '172.17.0.1' };
  const found = { dockerId: 'd', running: true, pid: program.pid, bridge, links: [] } as unknown as Inspected;
  let inspect = async () => found;
  const docker = { defaultBridge: async () => 'docker0', inspect: () => inspect() } as unknown as Docker;
  const lifetime = new Lifetime('test');
  const apart = await Apart.open(lifetime, docker, createLogger({ level: 'silent', stream: process.stdout }));
  const start = (id: string) => {
    const one = { id: id as ContainerId, dockerId: found.dockerId, lifetime: lifetime.child(id) };
    return apart.start(one, async () => found, false);
  };
  await assert.rejects(start('a'), { code: 'network.not_apart' });
  inspect = async () => {
    program.kill('SIGKILL');
    await once(program, 'exit');
    return found;
  };
  await start('b');
  await lifetime.end();
});
