/** A container in use that outlives the deaths of services, and an unclaimed one that does not. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Evdev, type InputEvent, virtualDevices } from './evdev.ts';
import type { GuestHost, InputContainer } from './guest-host.ts';
import { MOUSE } from './input-program.ts';
import { type Death, show, type UnitService, untilState, WAIT_UNIT } from './unit-service.ts';

/** The pointer moved to the right, and nothing else happened. */
const MOVE: readonly InputEvent[] = [
  [2, 0, 1],
  [0, 0, 0],
];

export class Survivor {
  readonly container: InputContainer;
  readonly #host: GuestHost;

  static async open(host: GuestHost, service: UnitService): Promise<Survivor> {
    const container = await host.hostClaimed(service);
    assert.equal(await container.program.say('connect'), '3');
    return new Survivor(host, container);
  }

  private constructor(host: GuestHost, container: InputContainer) {
    this.#host = host;
    this.container = container;
  }

  /** The service dies with an unclaimed container, whose program has its descriptors too. */
  async outlives(service: UnitService, unclaimed: InputContainer, signal: NodeJS.Signals): Promise<Death> {
    assert.equal(await unclaimed.program.say('connect'), '3');
    assert.equal(virtualDevices().length, 6);
    const death = await service.die(signal);

    await this.assertAlone();
    assert.ok(!unclaimed.numbers.some((number) => existsSync(`/dev/input/event${number}`)));
    assert.deepEqual(directoriesOf(unclaimed), []);
    await this.assertWrites();
    await untilState('active', WAIT_UNIT);
    return death;
  }

  /** No other container exists, and no other device. */
  async assertAlone(): Promise<void> {
    const containers = await this.#host.docker.listContainers({ all: true });
    assert.deepEqual(
      containers.map(({ Id, State }) => [Id, State]),
      [[this.container.dockerId, 'running']],
    );
    const numbers = virtualDevices().map(({ number }) => number);
    assert.deepEqual(
      numbers,
      this.container.numbers.toSorted((a, b) => a - b),
    );
  }

  /** The events of its program come out of its own device. */
  async assertWrites(): Promise<void> {
    const evdev = await Evdev.open(this.container.numbers[MOUSE] as number);
    try {
      await this.container.program.write(MOUSE, MOVE);
      assert.deepEqual(await evdev.read(MOVE.length), MOVE);
    } finally {
      await evdev.close();
    }
  }

  /** Its program ends, and the wait process sees everything released and exits too. */
  async end(): Promise<void> {
    const { ports } = this.container;
    assert.deepEqual(listening(ports), ports);
    await this.#host.docker.getContainer(this.container.dockerId).kill();
    await untilState('inactive', WAIT_UNIT);
    assert.equal(show('Result', WAIT_UNIT), 'success');
    assert.deepEqual(virtualDevices(), []);
    assert.deepEqual(listening(ports), []);
    assert.deepEqual(directoriesOf(this.container), []);
    assertNoLeaks();
  }
}

function directoriesOf({ id }: InputContainer): string[] {
  return [`/fractal/${id}`, `/fractal/temp/${id}`].filter((path) => existsSync(path));
}

/** The ports on which any program listens, tcp or udp. */
function listening(ports: readonly number[]): number[] {
  const sockets = execFileSync('ss', ['-Hlntu'], { encoding: 'utf8' });
  return ports.filter((port) => new RegExp(`:${port}\\s`).test(sockets));
}

/** Searches for them like an operator. */
export function assertNoLeaks(): void {
  const words = [process.env.TEST_SERVICE as string, 'doctor', '--leaks'];
  const env = { APP_ENV: 'localdev' };
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env });
  assert.equal(status, 0, stdout + stderr);
}
