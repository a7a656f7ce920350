/**
 * One death from start to end: a service with containers in every state dies under the launcher, bury runs, and the containers
 * in use end afterwards. This file asserts what must hold then.
 */

import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { ConfigHost } from '../support/config-host.ts';
import type { S3 } from '../support/s3.ts';
import { SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import type { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';
import type { Plan } from './plan.ts';

const USER = 1000;
/** The time limit for everything, in milliseconds. */
const PATIENCE = 90_000;

export interface Outcome {
  /** How it died, and where. Undefined: it survived. */
  readonly died: string | undefined;
  /** The number of steps in the life of the container in use, if the service survived. */
  readonly steps: number | undefined;
  /** Milliseconds from the death until the webserver knew, and until unused containers were removed. */
  readonly told: number | undefined;
  readonly buried: number | undefined;
}

interface Stage {
  readonly host: TestHost;
  readonly s3: S3;
}

export async function oneDeath({ host, s3 }: Stage, plan: Plan): Promise<Outcome> {
  const world = await World.open();
  try {
    return await new Death(host, s3, world, plan).run();
  } finally {
    await world.close();
  }
}

class Death {
  readonly #host: TestHost;
  readonly #s3: S3;
  readonly #world: World;
  readonly #plan: Plan;
  readonly #root: string;
  readonly #env: Record<string, string>;
  readonly #user: string;
  /** Whether the user has written a file on the disk of a container that is ready. */
  #isWritten = false;

  constructor(host: TestHost, s3: S3, world: World, plan: Plan) {
    this.#host = host;
    this.#s3 = s3;
    this.#world = world;
    this.#plan = plan;
    this.#root = host.newRoot();
    this.#user = `user${plan.number}`;
    this.#env = {
      ...world.settings,
      ...s3.settings,
      APP_ENV: 'localdev',
      WEBSERVER_AUTH_SECRET: SECRET,
      // No other program starts a Docker Engine at this socket.
      DOCKER_HOST: 'unix:///run/chaos.sock',
      ROOT: this.#root,
    };
  }

  async run(): Promise<Outcome> {
    const { death, missing } = this.#plan;
    const service = this.#host.start({
      entry: '../chaos/dying.ts',
      arguments: [JSON.stringify(death)],
      env: this.#env,
      flags: ['--max-old-space-size=200'],
      launcher: ['--watchdog', '5'],
      patience: PATIENCE,
    });
    const dying = this.#dying(service);
    const lived = this.#live(service).catch(() => {});
    const died = await dying;
    const code = await service.ended();
    const buriedAt = Date.now();
    await lived;
    if (died) assert.notEqual(code, 0, 'the launcher reports the death');
    else assert.equal(code, 0, service.log());
    if (missing === 'Docker' && died) await this.#host.startDocker();
    if (missing === 'S3') await this.#s3.turn('none');
    if (missing === 'webserver') await this.#world.mend();
    await this.#endContainers();
    await this.#over(service);
    await this.#startAgain();
    if (this.#isWritten) await this.#assertSaved();
    const told = this.#told();
    // Before its first heartbeat the host may not have been registered. Then there is no host whose death the webserver could
    // report.
    const isKnown = this.#world.beats.some(({ call, at }) => died && call === 'heartbeat' && at < died.at);
    if (isKnown && ['nothing', 'webserver'].includes(missing))
      assert.ok(told !== undefined, 'the webserver was notified');
    const steps = /^steps (\d+)$/m.exec(service.other.join('\n'))?.[1];
    return {
      died: died?.what,
      steps: steps === undefined ? undefined : Number(steps),
      told: died && told && told - died.at,
      buried: died && missing === 'nothing' ? buriedAt - died.at : undefined,
    };
  }

  /** Takes away the planned part of the surroundings at the moment of the death. @returns undefined if the service survives */
  async #dying(service: ServiceProcess): Promise<{ at: number; what: string } | undefined> {
    const line = await Promise.race([service.wroteLike(/^dying /).catch(() => 'it lives'), service.ended()]);
    if (typeof line !== 'string' || !line.startsWith('dying ')) return undefined;
    const { missing } = this.#plan;
    if (missing === 'S3') await this.#s3.turn('away');
    if (missing === 'webserver') await this.#world.turn('refuses');
    if (missing === 'Docker') await this.#host.stopDocker('SIGKILL');
    return JSON.parse(line.slice('dying '.length));
  }

  /** Makes one container that stays unclaimed and one that is used and ended, and then stops the service. */
  async #live(service: ServiceProcess): Promise<void> {
    await service.ready();
    await this.#world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
    const used = await hostContainer(service);
    const [id, port] = await Promise.all([this.#host.containerIdOf(used), this.#host.hostPort(used)]);
    const unclaimed = hostContainer(service).catch(() => {});
    const whose = { user_id: this.#user };
    assert.equal((await startValues(service, port, whose)).status, 200);
    assert.equal((await token(service, port, whose)).status, 200);
    this.#write(join(this.#root, 'fractal', id, 'userConfigs/unpacked_configs'));
    await unclaimed;
    await this.#host.docker.getContainer(used).stop({ t: 0 });
    await service.gone(id);
    await service.stop();
  }

  #write(files: string): void {
    const path = join(files, 'work');
    writeFileSync(path, this.#user);
    chownSync(path, USER, USER);
    this.#isWritten = true;
  }

  async #endContainers(): Promise<void> {
    for (const { Id } of await this.#host.docker.listContainers()) {
      await this.#host.docker
        .getContainer(Id)
        .stop({ t: 0 })
        .catch(() => {});
    }
  }

  /** Resolves when the wait process has exited too. */
  async #over(service: ServiceProcess): Promise<void> {
    const run = join(this.#root, 'run/ecs-host-service');
    const late = Date.now() + PATIENCE;
    while (existsSync(run)) {
      if (Date.now() > late) {
        const log = join(run, 'wait.log');
        const said = [service.log(), existsSync(log) && readFileSync(log, 'utf8')].join('\n');
        assert.fail(`it never ends: ${readdirSync(run, { recursive: true }).join()}\n${said}`);
      }
      await pause(20);
    }
  }

  /** Files that could not be saved while S3 was away wait on this host for its next start. */
  async #startAgain(): Promise<void> {
    const spool = join(this.#root, 'var/lib/ecs-host-service/spool');
    if (!existsSync(spool) || readdirSync(spool).length === 0) return;
    assert.equal(this.#plan.missing, 'S3', "the user's files were not saved");
    const next = this.#host.start({ env: this.#env, patience: PATIENCE });
    await next.ready();
    assert.equal(await next.stop(), 0, next.log());
  }

  async #assertSaved(): Promise<void> {
    const next = await ConfigHost.open(this.#s3);
    try {
      const { files, outcome } = await next.begin({ userId: this.#user, appName: 'demo' });
      assert.equal(outcome, 'restored', "the user's files are lost");
      assert.equal(readFileSync(join(files, 'work'), 'utf8'), this.#user);
    } finally {
      await next.stop();
    }
  }

  /** The time at which the webserver was told of the death. */
  #told(): number | undefined {
    return this.#world.beats.find(({ fields }) => fields.IsDyingHeartbeat === 'True')?.at;
  }
}
