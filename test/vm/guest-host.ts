/** The environment of a test in the guest: Docker, the images, the outside world, and the service as a unit. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import Dockerode from 'dockerode';
import { IMAGE, importImage } from '../../scripts/image.ts';
import { host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { containerIdOf, hostPortOf } from '../support/inspect.ts';
import { World } from '../support/world.ts';
import { virtualDevices } from './evdev.ts';
import { consoleInFront } from './front.ts';
import { INPUT_IMAGE, InputProgram } from './input-program.ts';
import { show, UnitService, WAIT_UNIT } from './unit-service.ts';

const DIRECTORIES = ['/fractal', '/fractalprivate', '/run/ecs-host-service'];

/** A container whose program executes commands with its input devices. */
export interface InputContainer {
  readonly dockerId: string;
  readonly id: string;
  readonly program: InputProgram;
  /** The numbers N of its /dev/input/eventN, in the order in which they were passed. */
  readonly numbers: readonly number[];
  /** Host ports, tcp and udp. */
  readonly ports: readonly number[];
  /** N of its /dev/ttyN. */
  readonly tty: number;
}

export class GuestHost implements AsyncDisposable {
  readonly docker = new Dockerode({ socketPath: '/run/docker.sock' });
  readonly world: World;
  #service: UnitService | undefined;

  static async open(): Promise<GuestHost> {
    mkdirSync('/run/test', { recursive: true });
    const host = new GuestHost(await World.open());
    const images = await host.docker.listImages();
    // Those of an earlier test file still exist.
    if (images.length === 0) {
      await importImage(host.docker, IMAGE);
      await importImage(host.docker, INPUT_IMAGE, [], '/input-program');
    }
    return host;
  }

  private constructor(world: World) {
    this.world = world;
  }

  /** Everything is enabled and input devices are required; the service itself detects that this is EC2. */
  get settings(): Record<string, string> {
    const { AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT, ...settings } = this.world.settings;
    assert.ok(AWS_EC2_METADATA_DISABLED && AWS_EC2_METADATA_SERVICE_ENDPOINT);
    return { ...settings, INPUT_DEVICES: 'required', FRONT_CONSOLE: 'own', LOG_LEVEL: 'debug' };
  }

  /** Starts the service, by default in localdev, where containers can be spun up. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<UnitService> {
    // In localdev, the secret is the well-known one that callers use.
    const { WEBSERVER_AUTH_SECRET = '', ...others } = this.settings;
    const environment = settings.APP_ENV === undefined ? { APP_ENV: 'localdev' } : { WEBSERVER_AUTH_SECRET };
    this.#service = new UnitService({ ...others, ...environment, ...settings });
    return await this.#service.ready();
  }

  hostPort(dockerId: string): Promise<number> {
    return hostPortOf(this.docker, dockerId);
  }

  containerIdOf(dockerId: string): Promise<string> {
    return containerIdOf(this.docker, dockerId);
  }

  async hostInputProgram(service: UnitService, image = INPUT_IMAGE): Promise<InputContainer> {
    return await this.#inputContainer(await hostContainer(service, { image: image }));
  }

  /** The same, without the host's seccomp profile. */
  async hostUnconfined(): Promise<InputContainer> {
    const proxy = new Dockerode({ socketPath: '/run/ecs-host-service/docker.sock' });
    const container = await proxy.createContainer({
      Image: INPUT_IMAGE,
      Labels: { 'ecs-host-service.interactive': 'true' },
      HostConfig: { SecurityOpt: ['seccomp=unconfined'] },
    });
    await container.start();
    return await this.#inputContainer(container.id);
  }

  async #inputContainer(dockerId: string): Promise<InputContainer> {
    const { HostConfig } = await this.docker.getContainer(dockerId).inspect();
    const devices: Dockerode.DeviceMapping[] = HostConfig.Devices ?? [];
    const numbers = devices.map(({ PathInContainer }) => Number(/\d+$/.exec(PathInContainer)?.[0]));
    const bindings: Dockerode.PortMap = HostConfig.PortBindings ?? {};
    const ports = Object.values(bindings).flatMap((some) => some.map(({ HostPort }) => Number(HostPort)));
    const tty = Number(/c 4:(\d+) /.exec(String(HostConfig.DeviceCgroupRules))?.[1]);
    const program = await InputProgram.open(await this.hostPort(dockerId));
    return { dockerId, id: await this.containerIdOf(dockerId), program, numbers, ports, tty };
  }

  /** The same, in use. */
  async hostClaimed(service: UnitService): Promise<InputContainer> {
    const container = await this.hostInputProgram(service);
    const port = await this.hostPort(container.dockerId);
    assert.deepEqual(await startValues(service, port), OK);
    assert.deepEqual(await token(service, port), OK);
    return container;
  }

  /** Removes a container from outside, and waits until the service has seen all of its resources released. */
  async remove(service: UnitService, { dockerId, id }: InputContainer): Promise<void> {
    await this.docker.getContainer(dockerId).remove({ force: true });
    await service.gone(id);
  }

  /** Runs after each test: the service has ended and has left nothing. Anything that is left is removed for the next test. */
  async finish(): Promise<void> {
    const state = show('ActiveState');
    const waiting = show('ActiveState', WAIT_UNIT);
    if (state !== 'inactive') await this.#service?.kill();
    execFileSync('systemctl', ['stop', WAIT_UNIT]);
    const containers = await this.docker.listContainers({ all: true });
    for (const { Id } of containers) await this.docker.getContainer(Id).remove({ force: true });
    const left = DIRECTORIES.filter((path) => existsSync(path));
    for (const path of left) rmSync(path, { recursive: true });
    assert.equal(state, 'inactive', 'the service was still running');
    assert.equal(waiting, 'inactive', 'a wait process was still running');
    assert.deepEqual(
      containers.map(({ Names, Status }) => [Names, Status]),
      [],
      'containers are left',
    );
    assert.deepEqual(virtualDevices(), [], 'input devices are left');
    assert.equal(consoleInFront(), 'tty1', 'the service’s console is still in front');
    assert.deepEqual(left, [], 'directories are left');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world.close();
  }
}
