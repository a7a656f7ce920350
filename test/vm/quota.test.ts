/**
 * Limits of disk usage on filesystems with project quotas: Docker's directory on one, /fractal on another. The kernels on which
 * other tests run have none.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { globalAgent } from 'node:http';
import { after, before, suite, test } from 'node:test';
import Dockerode from 'dockerode';
import { keepsProjects, limitProject, type Project, projectsOf } from '../../uinput-native/projects.ts';
import { type Attack, Attacker } from '../support/attacker.ts';
import { claim, host as spinUp } from '../support/callers.ts';
import { GuestHost } from './guest-host.ts';
import { type UnitService, untilState, WAIT_UNIT } from './unit-service.ts';

const MIB = 2 ** 20;
const LIMIT = 24;
/** The number of files that CONTAINER_DISK allows, at 16 KiB each. */
const FILES = (LIMIT * MIB) / 16_384;
const USER_FILES = '/fractal/userConfigs';
const FULL = /^(No space left on device|Disk quota exceeded)$/;
/** A project that a service may have made, and one of another owner. */
const [LEFT, OTHERS] = [0x4543_8000, 0x2_0000];
/** Above Docker's own numbers. ext4 of Linux 6.1 omits some projects after a number without zeros at its end. */
const FROM = 0x1_0000;
const DIRECTORIES = ['/var/lib/docker', '/fractal'] as const;
const MAKERS = {
  ext4: ['mkfs.ext4', '-q', '-O', 'quota,project', '-E', 'quotatype=prjquota'],
  xfs: ['mkfs.xfs', '-q'],
} as const;
/** Its output is exactly what it writes. The kernel also prints on a terminal that a limit is reached. */
const TEXT = { Tty: true };
type Type = keyof typeof MAKERS;

const imageOf = (type: Type) => `/var/tmp/${type}.img`;

function mount(type: Type, directory: string): void {
  const [program, ...words] = MAKERS[type];
  execFileSync('truncate', ['--size=400M', imageOf(type)]);
  execFileSync(program, [...words, imageOf(type)]);
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-o', 'loop,prjquota', imageOf(type), directory]);
}

function docker(verb: 'start' | 'stop'): void {
  execFileSync('systemctl', [verb, 'docker.socket', 'docker.service']);
}

/** The limits on both filesystems, except for Docker's own. */
function limits(): Project[] {
  const found = DIRECTORIES.flatMap((directory) => [...projectsOf(directory, FROM, 2 ** 31 - 1)]);
  return found.filter(({ byteLimit, inodeLimit }) => byteLimit + inodeLimit > 0);
}

/** All lines of the attack, once it has printed `last`. */
async function told(attack: Attack, last: RegExp): Promise<string> {
  await attack.said(last);
  const container = new Dockerode({ socketPath: '/run/docker.sock' }).getContainer(attack.dockerId);
  return String(await container.logs({ stdout: true }));
}

const filesIn = (log: string) =>
  [...log.matchAll(/files?: (\d+), (.*)/g)].map(([, n, why]) => [Number(n), why]);

for (const types of [
  ['xfs', 'ext4'],
  ['ext4', 'xfs'],
] as const) {
  const [docked, ours] = types;
  suite(`with Docker's directory on ${docked} and /fractal on ${ours}`, () => {
    let host: GuestHost;
    let service: UnitService;
    let attacker: Attacker;
    let attack: Attack;
    /** Its output. */
    let neighbours: string;

    before(async () => {
      docker('stop');
      types.forEach((type, i) => {
        mount(type, DIRECTORIES[i] as string);
      });
      docker('start');
      host = await GuestHost.open();
      service = await host.start({
        CONTAINER_DISK: `${LIMIT}MiB`,
        HOSTED_ALLOW: 'SecurityOpt=seccomp=unconfined',
      });
      attacker = new Attacker(new Dockerode({ socketPath: '/run/ecs-host-service/docker.sock' }));
    });
    after(async () => {
      try {
        assert.equal(await service.stop(), 0);
        assert.deepEqual(limits(), [], 'limits are left');
        for (const { Id } of await host.docker.listContainers({ all: true }))
          await host.docker.getContainer(Id).remove({ force: true });
      } finally {
        // Open connections to this Engine are of no use for the next one.
        globalAgent.destroy();
        docker('stop');
        for (const directory of DIRECTORIES) execFileSync('umount', ['--lazy', directory]);
        rmdirSync('/fractal');
        for (const type of types) rmSync(imageOf(type));
        docker('start');
      }
      await host.finish();
      await host[Symbol.asyncDispose]();
    });

    test('both filesystems enforce the limits of projects', () => {
      assert.deepEqual(DIRECTORIES.map(keepsProjects), [true, true]);
    });

    test("writes over a container's limit fail, the container can still be used, and its neighbour can write", async () => {
      const places = ['/file', `${USER_FILES}/file`, '/tmp/sockets/file'];
      const words = ['leave', '/', 'leave', USER_FILES, ...places.flatMap((path) => ['file', path, '64'])];
      attack = await attacker.begin(TEXT, ...words);
      const log = await told(attack, /(^file: [\s\S]*){3}/m);
      const [layer, files, sockets] = filesIn(log).map(([mib, why]) => {
        assert.match(String(why), FULL);
        return Number(mib);
      });
      assert.ok(layer !== undefined && layer <= LIMIT && layer > LIMIT / 2, log);
      assert.ok(files !== undefined && files <= LIMIT && files > LIMIT / 2, log);
      assert.ok(sockets !== undefined && sockets <= LIMIT - files, log);

      await using neighbour = await attacker.begin(
        TEXT,
        ...['file', '/file', '8', 'file', `${USER_FILES}/file`, '8'],
        ...['files', '/', String(2 * FILES), 'files', USER_FILES, String(2 * FILES)],
      );
      neighbours = await told(neighbour, /(^files: [\s\S]*){2}/m);
      assert.deepEqual(filesIn(neighbours).slice(0, 2), [
        [8, 'no end'],
        [8, 'no end'],
      ]);
      assert.ok(await neighbour.isRunning());
      await claim(service, await host.hostPort(attack.dockerId));
      assert.ok(await attack.isRunning());
      const id = await host.containerIdOf(attack.dockerId);
      await host.docker.getContainer(attack.dockerId).kill();
      await service.gone(id);
    });

    test('the limit also applies to files without content', () => {
      for (const [made, why] of filesIn(neighbours).slice(2)) {
        assert.match(String(why), FULL);
        assert.ok(Number(made) < FILES && Number(made) > FILES / 2, neighbours);
      }
    });

    test('a container can move neither itself nor a file of its own out of its project', async () => {
      const log = await told(attack, /^file: /m);
      assert.equal(log.match(/now in a project/g)?.length, 4, log);
      assert.equal(log.match(/then in a project/g)?.length, 4, log);
      assert.equal(log.match(/by \w+( with a high bit)?: Inappropriate ioctl for device/g)?.length, 12, log);
      assert.doesNotMatch(log, /by .*: done/);
      assert.equal(log.match(/rename: done/g)?.length, 2, log);
      await attack.end();
    });

    if (docked === 'ext4') return;

    test('without the seccomp profile, a file of a container could leave its project', async () => {
      const body = { ...TEXT, HostConfig: { SecurityOpt: ['seccomp=unconfined'] } };
      await using open = await attacker.begin(body, 'leave', USER_FILES);
      assert.match(await told(open, /leave rename: /), /file: now in a project.*file: then in none/s);
    });

    test('a limit that Docker itself enforces for a layer is kept', async () => {
      const body = { ...TEXT, HostConfig: { StorageOpt: { size: '12M' } } };
      await using attack = await attacker.begin(body, 'file', '/file', '64');
      const [[mib, why] = []] = filesIn(await told(attack, /^file: .*/m));
      assert.match(String(why), FULL);
      assert.ok(Number(mib) <= 12, `${mib}`);
    });

    test('after the service dies, the limits of a container in use stay, and those of others are removed', async () => {
      const used = await spinUp(service);
      await claim(service, await host.hostPort(used));
      const kept = limits();
      assert.equal(kept.length, 2);
      await spinUp(service);
      assert.equal(limits().length, 4);
      await service.die('SIGKILL');
      assert.deepEqual(
        limits().map(({ number }) => number),
        kept.map(({ number }) => number),
      );
      await untilState('active', WAIT_UNIT);

      // As before a restart of the host, and one that does not belong to the service.
      limitProject('/fractal', LEFT, MIB, 0);
      limitProject('/fractal', OTHERS, MIB, 0);
      service = await host.start({ CONTAINER_DISK: `${LIMIT}MiB` });
      const id = await host.containerIdOf(used);
      const other = await spinUp(service);
      const numbers = new Set(limits().map(({ number }) => number));
      assert.equal(numbers.size, 3);
      assert.ok(numbers.has(OTHERS) && !numbers.has(LEFT));
      limitProject('/fractal', OTHERS, 0, 0);
      assert.ok(numbers.has(kept[0]?.number as number));
      const otherId = await host.containerIdOf(other);
      for (const dockerId of [used, other]) await host.docker.getContainer(dockerId).remove({ force: true });
      await service.gone(id);
      await service.gone(otherId);
      assert.deepEqual(limits(), []);
    });
  });
}
