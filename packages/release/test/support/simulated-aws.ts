/**
 * ECS, EventBridge and a bucket in memory, for thousands of releases with failures: slow rollouts, failing tasks, and a
 * circuit breaker.
 */

import type { RegisterTaskDefinitionCommandInput, TaskDefinition } from '@aws-sdk/client-ecs';
import type { Stored } from '../../src/record/store.ts';
import type {
  Capacity,
  Deployment,
  Service,
  ServiceChange,
  Task,
  TaskStart,
  Trigger,
} from '../../src/release/cloud.ts';
import type { VirtualTime } from './virtual-time.ts';

const ROLLOUT = 15_000;
const DRAIN = 10_000;
const TASK = 8_000;
const STALE = 5_000;

interface RunningDeployment {
  readonly id: string;
  readonly taskDefinition: string;
  readonly since: number;
  state: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  endsAt: number | undefined;
}

interface RunningService {
  desired: number;
  capacity?: readonly Capacity[];
  deployments: RunningDeployment[];
  readonly events: { readonly id: string; readonly message: string }[];
}

export class SimulatedAws {
  readonly definitions: TaskDefinition[] = [];
  readonly services = new Map<string, RunningService>();
  readonly rules = new Map<string, Trigger[]>();
  /** Services with automatic scaling. An operator has suspended their scheduled scaling. */
  readonly scalable = new Set<string>();
  readonly suspended = new Set<string>();
  readonly tasks = new Map<
    string,
    Task & { readonly token: string; readonly endsAt: number; readonly exitCode: number }
  >();
  readonly objects = new Map<string, Stored>();
  /** Events that must never happen. */
  readonly violations: string[] = [];
  readonly time: VirtualTime;
  hasCircuitBreaker = true;
  /** Whether reads return data that is up to STALE milliseconds old. */
  isBehind = false;
  /** Whether this image runs. */
  isGood: (image: string) => boolean = () => true;
  #numbers = 0;
  readonly #answers = new Map<string, { readonly at: number; readonly answer: unknown }>();

  constructor(time: VirtualTime) {
    this.time = time;
  }

  addDefinition(family: string, image: string): string {
    return this.register({ family, containerDefinitions: [{ name: 'app', image }] });
  }

  addService(name: string, taskDefinition: string): void {
    const deployment = {
      id: this.#id(),
      taskDefinition,
      since: 0,
      state: 'COMPLETED' as const,
      endsAt: undefined,
    };
    this.scalable.add(name);
    this.services.set(name, { desired: 2, deployments: [deployment], events: [] });
  }

  addRule(rule: string, taskDefinition: string): void {
    const whole = { Id: '1', Arn: 'cluster', EcsParameters: { TaskDefinitionArn: taskDefinition } };
    this.rules.set(rule, [{ kind: 'rule', place: rule, id: '1', taskDefinition, whole }]);
  }

  register(input: RegisterTaskDefinitionCommandInput): string {
    const revision = this.definitions.filter(({ family }) => family === input.family).length + 1;
    const taskDefinitionArn = `arn:aws:ecs:r:1:task-definition/${input.family}:${revision}`;
    const registeredAt = new Date(this.time.now);
    this.definitions.push({ ...input, revision, taskDefinitionArn, registeredAt, status: 'ACTIVE' });
    return taskDefinitionArn;
  }

  deregister(arn: string): void {
    const at = this.definitions.findIndex((one) => one.taskDefinitionArn === arn);
    const found = this.definitions[at];
    if (found) this.definitions[at] = { ...found, status: 'INACTIVE' };
  }

  imageOf(taskDefinition: string): string {
    return this.definition(taskDefinition).containerDefinitions?.[0]?.image ?? '';
  }

  definition(name: string): TaskDefinition {
    const found = this.definitions.findLast(
      (one) => one.taskDefinitionArn === name || (one.family === name && one.status === 'ACTIVE'),
    );
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  }

  answer<T>(name: string, make: () => T): T {
    const known = this.#answers.get(name);
    if (this.isBehind && known && this.time.now - known.at <= STALE) return known.answer as T;
    const answer = make();
    this.#answers.set(name, { at: this.time.now, answer });
    return answer;
  }

  /** Records a violation unless the holder of the lock makes the change. */
  noteChange(owner: string, name: string): void {
    const [{ text } = { text: '{}' }] = [...this.objects].flatMap(([place, one]) =>
      place.endsWith('stage.json') ? [one] : [],
    );
    const { lock } = JSON.parse(text);
    if (lock?.owner !== owner) this.violations.push(`${name} of ${owner}, while ${lock?.owner} has the lock`);
  }

  /** The task definition of the service's newest deployment. */
  runs(service: string): string {
    return this.services.get(service)?.deployments[0]?.taskDefinition ?? '';
  }

  update({ service, taskDefinition, force, desired, capacity }: ServiceChange): string {
    const one = this.services.get(service);
    if (!one) throw new Error(`there is no ${service}`);
    this.settle(service);
    one.desired = desired ?? one.desired;
    if (capacity) one.capacity = capacity;
    if (force || capacity || one.deployments[0]?.taskDefinition !== taskDefinition)
      this.#begin(one, taskDefinition);
    return one.deployments[0]?.id ?? '';
  }

  #begin(one: RunningService, taskDefinition: string): void {
    const { now } = this.time;
    for (const old of one.deployments) old.endsAt ??= now + ROLLOUT + DRAIN;
    one.deployments.unshift({
      id: this.#id(),
      taskDefinition,
      since: now,
      state: 'IN_PROGRESS',
      endsAt: undefined,
    });
  }

  /** Applies everything that has happened until now. */
  settle(service: string): RunningService {
    const one = this.services.get(service) as RunningService;
    const [newest] = one.deployments as [RunningDeployment];
    const age = this.time.now - newest.since;
    if (newest.state === 'IN_PROGRESS' && this.isGood(this.imageOf(newest.taskDefinition))) {
      if (age > ROLLOUT) newest.state = 'COMPLETED';
    } else if (newest.state === 'IN_PROGRESS' && age > ROLLOUT && this.hasCircuitBreaker) {
      newest.state = 'FAILED';
      newest.endsAt = this.time.now + DRAIN;
      one.events.unshift({ id: this.#id(), message: `(service ${service}) rolling back: circuit breaker` });
      const last = one.deployments.find(({ state }) => state === 'COMPLETED');
      this.#begin(one, last?.taskDefinition ?? newest.taskDefinition);
    }
    one.deployments = one.deployments.filter(({ endsAt }, i) => i === 0 || (endsAt ?? 0) > this.time.now);
    return one;
  }

  #id(): string {
    this.#numbers += 1;
    return `ecs-svc/${this.#numbers}`;
  }

  describe(name: string): Service {
    const { desired, deployments, events } = this.settle(name);
    const [newest] = deployments as [RunningDeployment];
    return {
      name,
      status: 'ACTIVE',
      taskDefinition: newest.taskDefinition,
      desired,
      running: newest.state === 'COMPLETED' ? desired : 0,
      deployments: deployments.map((one, i) => this.#describeDeployment(one, i, desired)),
      events,
      network: undefined,
      capacity: this.services.get(name)?.capacity ?? [],
      controller: 'ECS',
    };
  }

  #describeDeployment(
    { id, taskDefinition, state, since }: RunningDeployment,
    i: number,
    desired: number,
  ): Deployment {
    const isFailing = !this.isGood(this.imageOf(taskDefinition)) && this.time.now - since > 3000;
    return {
      id,
      taskDefinition,
      status: i === 0 ? 'PRIMARY' : 'ACTIVE',
      rolloutState: state,
      reason: state === 'FAILED' ? 'tasks failed to start: circuit breaker' : '',
      desired,
      running: state === 'COMPLETED' ? desired : 0,
      failed: isFailing ? Math.floor((this.time.now - since) / 3000) : 0,
    };
  }

  stoppedOf(service: string): readonly Task[] {
    const { deployments } = this.settle(service);
    return deployments.flatMap((one, i) => {
      const { failed } = this.#describeDeployment(one, i, 1);
      return Array.from({ length: failed }, (_, n) => stoppedTask(one.taskDefinition, one.id, one.since + n));
    });
  }

  start({ taskDefinition, startedBy, token }: TaskStart): string {
    const known = [...this.tasks.values()].find((one) => one.token === token);
    if (known) return known.arn;
    for (const one of this.tasks.values())
      if (one.startedBy !== startedBy && one.endsAt > this.time.now)
        this.violations.push(`a task of ${startedBy} starts while one of ${one.startedBy} runs`);
    const arn = `arn:aws:ecs:r:1:task/c/${this.#id().replace(/\D/g, '')}`;
    const exitCode = this.isGood(this.imageOf(taskDefinition)) ? 0 : 1;
    const createdAt = this.time.now;
    const shown = { lastStatus: 'RUNNING', stopCode: '', stoppedReason: '', createdAt, containers: [] };
    this.tasks.set(arn, {
      arn,
      taskDefinition,
      startedBy,
      token,
      exitCode,
      endsAt: createdAt + TASK,
      ...shown,
    });
    return arn;
  }

  task(arn: string): Task {
    const one = this.tasks.get(arn);
    if (!one) throw new Error(`there is no task ${arn}`);
    if (one.endsAt > this.time.now) return one;
    const containers = [{ name: 'app', exitCode: one.exitCode, reason: '' }];
    return { ...one, lastStatus: 'STOPPED', stopCode: 'EssentialContainerExited', containers };
  }

  stop(arn: string): void {
    const one = this.tasks.get(arn);
    if (one && one.endsAt > this.time.now)
      this.tasks.set(arn, { ...one, endsAt: this.time.now, exitCode: 137 });
  }
}

function stoppedTask(taskDefinition: string, startedBy: string, createdAt: number): Task {
  return {
    arn: `arn:aws:ecs:r:1:task/c/${createdAt}`,
    taskDefinition,
    startedBy,
    createdAt,
    lastStatus: 'STOPPED',
    stopCode: 'EssentialContainerExited',
    stoppedReason: 'Essential container in task exited',
    containers: [{ name: 'app', exitCode: 3, reason: '' }],
  };
}
