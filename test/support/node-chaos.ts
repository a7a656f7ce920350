/**
 * Kills the service, Docker or both while nodes are replaced, at a step and after a pause that a seed determines. After
 * each death, the nodes must reach the state in the file, and nothing else may be left.
 */

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import type { Chance } from './chance.ts';
import { type NodeSite, RUNS } from './node-site.ts';
import type { Registry } from './registry.ts';
import type { ServiceProcess } from './service-process.ts';

export const STEPS = ['pull', 'create', 'stop', 'start', 'keep', 'remove', 'promote', 'reject'] as const;
const NAMES = ['front', 'one', 'two'];
const VICTIMS = ['service', 'Docker', 'both'] as const;
const PORTS = [18_100, 18_101] as const;
const QUICK = { healthyAfter: 0.2 };
/** Milliseconds between the begin of a step and a death. */
const PAUSES = [0, 5, 30, 150, 400];
const BETWEEN_LOOKS = 20;
/** How often the service is asked whether it has noticed the restart of Docker. */
const LOOKS = 250;
/** Milliseconds within which nodes reach their state, even on a busy machine. */
const PATIENCE = 60_000;
/**
 * If Docker 20.10 was killed at the wrong moment, it reports this error for a port that no container has. It releases
 * the port when it is started again.
 */
const LOST_PORT = /port is already allocated/;

export interface NodeDeath {
  readonly step: (typeof STEPS)[number];
  readonly victim: (typeof VICTIMS)[number];
  readonly pause: number;
  /** Whether the new image of `one` exits. */
  readonly isBad: boolean;
  /** Whether `one` and `two` exchange their fixed host ports. */
  readonly isSwapped: boolean;
}

export function deathOf(chance: Chance): NodeDeath {
  const step = chance.oneOf(...STEPS);
  return {
    step,
    victim: chance.oneOf(...VICTIMS),
    pause: chance.oneOf(...PAUSES),
    isBad: step === 'reject' || chance.below(4) === 0,
    isSwapped: chance.below(3) === 0,
  };
}

export class NodeChaos {
  readonly #site: NodeSite;
  readonly #registry: Registry;
  #service: ServiceProcess | undefined;
  #round = 0;
  /** The last round whose image of `one` was good. */
  #goodRound = 0;
  #ports: readonly number[] = PORTS;
  /** When the last death began, in ISO 8601. */
  #begun = '';
  #watching: Watching | undefined;
  /** Only one caller at a time stops and starts Docker. */
  readonly #oneAtDocker = pLimit(1);

  constructor(site: NodeSite, registry: Registry) {
    this.#site = site;
    this.#registry = registry;
  }

  async begin(): Promise<void> {
    this.#site.write(this.#specs(false));
    this.#service = await this.#site.start();
    await this.#atRest(this.#specs(false), false);
  }

  /** @returns whether the step was reached, so that something was killed */
  async death({ step, victim, pause: after, isBad, isSwapped }: NodeDeath): Promise<boolean> {
    this.#round += 1;
    this.#begun = new Date().toISOString();
    if (isSwapped && !isBad) this.#ports = this.#ports.toReversed();
    const specs = this.#specs(isBad);
    const from = this.#service?.lines.length ?? 0;
    await using watching = new Watching(this.#site, victim === 'service');
    this.#watching = watching;
    this.#site.write(specs);
    const atRest = this.#atRest(specs, isBad);
    atRest.catch(() => {});
    const isReached = await Promise.race([this.#reached(step, from), atRest.then(() => false)]);
    if (isReached) await pause(after);
    if (isReached) await this.#oneAtDocker(() => this.#kill(victim));
    await (isReached ? this.#atRest(specs, isBad) : atRest);
    await watching.end();
    await this.#audit();
    if (!isBad) this.#goodRound = this.#round;
    return isReached;
  }

  async end(): Promise<void> {
    this.#site.write([]);
    for (const node of NAMES) await this.#site.until(node, 'unknown');
    assert.deepEqual(await this.#site.names(), []);
    assert.equal(await this.#service?.stop(), 0);
    await this.#site.clear();
  }

  /** Two nodes with fixed host ports, and one without. */
  #specs(isBad: boolean): NodeSpec[] {
    const round = this.#round;
    const good = this.#registry.addScript('chaos', `${RUNS} # ${round}`, undefined, `v${round}`);
    const image = isBad ? this.#registry.addScript('bad', `exit 3 # ${round}`, undefined, `v${round}`) : good;
    const environment = { ROUND: String(round) };
    const portsOf = (i: number) => [{ containerPort: 80, hostPort: this.#ports[i] as number }];
    return [
      { name: 'one', image, environment, update: QUICK, ports: portsOf(0) },
      { name: 'two', image: good, environment, update: QUICK, ports: portsOf(1) },
      { name: 'front', image: good, environment, update: QUICK },
    ];
  }

  async #reached(step: string, from: number): Promise<boolean> {
    const isIt = (found: unknown) => (found as { do?: string } | undefined)?.do === step;
    try {
      await this.#service?.line((one) => one.msg === 'a step of a node' && isIt(one.step), from);
      return true;
    } catch {
      return false;
    }
  }

  async #kill(victim: NodeDeath['victim']): Promise<void> {
    const { host } = this.#site;
    const isService = victim !== 'Docker';
    const [died] = await Promise.all([
      isService ? this.#service?.stop('SIGKILL') : undefined,
      victim === 'service' ? undefined : host.stopDocker('SIGKILL'),
    ]);
    if (victim !== 'service') await host.startDocker();
    if (!isService) return;
    assert.equal(died, 'SIGKILL');
    this.#service = await this.#site.start();
  }

  /** Waits until all nodes are as the file wants them. It tolerates that the service is dead for a while. */
  async #atRest(specs: readonly NodeSpec[], isBad: boolean): Promise<void> {
    const late = Date.now() + PATIENCE;
    const views = () => Promise.all(specs.map((spec) => this.#view(spec, isBad)));
    for (let found = await views(); found.some((one) => one !== undefined); found = await views()) {
      if (Date.now() > late)
        assert.fail(`no rest: ${JSON.stringify([found, this.#service?.lines.slice(-15)])}`);
      const names = specs.flatMap(({ name }, i) => (LOST_PORT.test(JSON.stringify(found[i])) ? [name] : []));
      if (names.length > 0) await this.#oneAtDocker(() => this.#findPortOf(names));
      await pause(BETWEEN_LOOKS);
    }
  }

  /** Acts like an operator when Docker has lost a port. */
  async #findPortOf(names: readonly string[]): Promise<void> {
    const { host, operator } = this.#site;
    const isLost = async (name: string) => LOST_PORT.test(JSON.stringify(await this.#site.view(name)));
    const lost = await Promise.all(names.map((name) => isLost(name).catch(() => false)));
    if (!lost.includes(true)) return;
    this.#watching?.endOfService();
    await host.stopDocker();
    await host.startDocker();
    for (const name of names) await operator.ask('POST', `/v1/nodes/${name}/restart`).catch(() => {});
    for (const name of names)
      for (let looks = 0; looks < LOOKS && (await isLost(name).catch(() => true)); looks++)
        await pause(BETWEEN_LOOKS);
  }

  /** @returns undefined if the node is as the file wants it, otherwise a description of the node */
  async #view({ name, environment }: NodeSpec, isBad: boolean): Promise<unknown> {
    const isReverted = isBad && name === 'one';
    const view = await this.#site.view(name).catch(() => ({ state: 'unknown' }));
    const isSettled = isReverted
      ? view.state === 'reverted' && view.rejected.at >= this.#begun
      : view.state === 'running' && view.cause === 'as wanted';
    if (!isSettled) return view;
    const round = isReverted ? this.#goodRound : environment?.ROUND;
    const found = await this.#site.inspect(name).catch(() => undefined);
    return found?.State.Running && found.Config.Env.includes(`ROUND=${round}`) ? undefined : view;
  }

  async #audit(): Promise<void> {
    const { docker } = this.#site.host;
    assert.deepEqual(await this.#site.names(), NAMES);
    for (const one of await docker.listContainers({ all: true }))
      assert.equal(one.State, 'running', `${one.Names.join()} ${one.Status}`);
    const { Volumes } = await docker.listVolumes();
    assert.deepEqual(Volumes, []);
    const networks = (await docker.listNetworks()).map(({ Name }) => Name).toSorted();
    assert.deepEqual(networks, ['bridge', 'demo', 'host', 'none']);
  }
}

/** Watches Docker's containers during a death. */
class Watching {
  readonly #site: NodeSite;
  /** Whether Docker stays alive, so that the node without a fixed port must be reachable all the time. */
  #isDockerAlive: boolean;
  readonly #watching: Promise<void>;
  #isOver = false;

  constructor(site: NodeSite, isDockerAlive: boolean) {
    this.#site = site;
    this.#isDockerAlive = isDockerAlive;
    this.#watching = this.#watch();
    this.#watching.catch(() => {});
  }

  /** From now on, nodes may be down, because Docker itself is restarted. */
  endOfService(): void {
    this.#isDockerAlive = false;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#watching;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {});
  }

  async #watch(): Promise<void> {
    for (; !this.#isOver; await pause(BETWEEN_LOOKS)) {
      const running = await this.#site.host.docker.listContainers().catch(() => undefined);
      if (!running) continue;
      const fixed = running.flatMap(({ Labels, State }) =>
        State === 'running' ? JSON.parse(Labels['ecs-host-service.node.ports'] ?? '[]') : [],
      );
      const ports = fixed.map(({ port }: { readonly port: number }) => port);
      assert.equal(new Set(ports).size, ports.length, `two containers run with one port: ${ports.join()}`);
      if (!this.#isDockerAlive) continue;
      const names = running.flatMap(({ Names }) => Names);
      assert.ok(
        names.some((name) => /^\/front/.test(name)),
        `front is not served: ${names.join()}`,
      );
    }
  }
}
