/** A reconciler with a simulated Docker that fails when told to, and with a fake clock. */

import { ServiceError } from '../../errors/service-error.ts';
import { createLogger } from '../../logging/logger.ts';
import { Alarm } from '../../managed-nodes/alarm.ts';
import type { Rejected, Step } from '../../managed-nodes/plan/world.ts';
import { Reconciler, type ReconcilerOptions } from '../../managed-nodes/reconciler.ts';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import type { StepExecutor } from '../../managed-nodes/step-executor.ts';
import { type Conduct, digestOf } from './conduct.ts';
import { ModelDocker, wantedOf } from './nodes-model.ts';

export const silentLog = createLogger({ level: 'silent', stream: { write: () => {} } });

/** Lets everything else continue that can. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Time passes only when the reconciler waits for it. */
class QuickAlarm extends Alarm {
  readonly #clock: { now: number };

  constructor(clock: { now: number }) {
    super();
    this.#clock = clock;
  }

  protected override async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const until = this.#clock.now + milliseconds;
    await turn();
    if (!signal.aborted) this.#clock.now = Math.max(this.#clock.now, until);
  }
}

export class ReconcilerSite implements StepExecutor, AsyncDisposable {
  readonly docker: ModelDocker;
  readonly reconciler: Reconciler;
  readonly kept: Rejected[][] = [];
  looks = 0;
  asked = 0;
  /** Throw an error in it to make a step fail. */
  before: (step: Step) => void | Promise<void> = () => {};
  /** Throw an error in it to lose the answer of a step that was carried out. */
  after: (step: Step) => void = () => {};
  /** Throw an error in it to make a look fail. */
  beforeLook: () => void = () => {};
  isDockerGone = false;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    specs: readonly NodeSpec[],
    conduct: Conduct = 'healthy',
    options: Partial<ReconcilerOptions> = {},
  ) {
    this.docker = new ModelDocker(wantedOf(specs), new Map(specs.map(({ image }) => [image, conduct])));
    const { docker } = this;
    this.reconciler = new Reconciler({
      executor: this,
      log: silentLog,
      now: () => docker.now,
      alarm: new QuickAlarm(docker),
      keepRejected: async (rejected) => void this.kept.push([...rejected.values()]),
      ...options,
    });
    this.reconciler.want(docker.world.wanted);
    this.#running = this.reconciler.run(this.#end.signal);
  }

  async look() {
    this.looks += 1;
    this.beforeLook();
    if (this.isDockerGone) throw new ServiceError('docker.unavailable', { socket: '/x', why: 'gone' });
    return this.docker.world.actual;
  }

  async currentDigests() {
    this.asked += 1;
    return new Map([...this.docker.registry].map(([image, conduct]) => [image, digestOf(image, conduct)]));
  }

  async carryOut(step: Step) {
    await this.before(step);
    if (this.isDockerGone) throw new ServiceError('docker.unavailable', { socket: '/x', why: 'gone' });
    this.docker.carryOut(step);
    this.after(step);
    if (step.do === 'pull') {
      return { digest: digestOf(step.image, this.docker.registry.get(step.image) as Conduct) };
    }
    return step.do === 'create'
      ? { id: [...this.docker.containers.keys()].at(-1) as never }
      : { exitCode: 3, lastLines: ['boom'] };
  }

  want(specs: readonly NodeSpec[]): void {
    this.docker.wanted = wantedOf(specs);
    this.reconciler.want(this.docker.world.wanted);
  }

  stateOf(node: string) {
    return this.reconciler.known.get(node)?.decision.state;
  }

  until(node: string, state: string): Promise<void> {
    return this.reconciler.until(() => this.stateOf(node) === state, AbortSignal.timeout(5_000));
  }

  async [Symbol.asyncDispose]() {
    this.#end.abort();
    await this.#running;
  }
}
