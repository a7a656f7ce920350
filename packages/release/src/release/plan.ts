/**
 * Plans a release. From the observed stage, the configuration and the images' digests it derives what to register, roll
 * out and move. Pure: it makes no requests and no changes.
 */

import type { ContainerDefinition, RegisterTaskDefinitionCommandInput } from '@aws-sdk/client-ecs';
import type { ReleaseConfig } from '../config/read.ts';
import type { ContainersConfig, ScheduledConfig, TaskConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import {
  type Capacity,
  familyOf,
  isSameCapacity,
  type Placement,
  placementOf,
  type Service,
  type Suspension,
  type Trigger,
} from './cloud.ts';
import { type Change, differences } from './difference.ts';
import type { Observed } from './observe.ts';
import { capacityOf, chosenContainer, placementIn } from './placement.ts';
import { type Live, render, type Size } from './task-definition.ts';
import { isSameTrigger, present, type TriggerSettings } from './trigger-settings.ts';

export interface ResolvedImage {
  /** The image's reference in the task definition. */
  readonly reference: string;
  readonly digest: string;
}
export type Images = Readonly<Record<string, ResolvedImage>>;

/** An existing revision, or the index of a revision that is to be registered. */
export type Revision = { readonly arn: string } | { readonly register: number };

/** Settings of a service besides its task definition. A setting that the release does not touch is absent. */
export interface Settings {
  readonly desired?: number;
  readonly capacity?: readonly Capacity[];
}

export interface PlannedService {
  readonly name: string;
  readonly service: string;
  readonly before: Settings & { readonly taskDefinition: string };
  readonly after: Settings & { readonly taskDefinition: Revision };
  readonly isGate: boolean;
  readonly force: boolean;
  /** The automatic scaling that the release suspends, as it is now. */
  readonly scaling?: Suspension;
  /** The id of the service's current deployment. */
  readonly deployment: string;
  readonly changes: readonly Change[];
}

export interface PlannedTrigger {
  readonly name: string;
  readonly before: Trigger;
  readonly after: Revision & TriggerSettings;
  readonly changes: readonly Change[];
}

export interface PlannedTask {
  readonly name: string;
  readonly taskDefinition: Revision;
  readonly container: string;
  readonly command?: readonly string[];
  readonly timeout?: string;
  readonly placement?: Placement;
}

export interface Plan {
  readonly images: Images;
  readonly register: readonly RegisterTaskDefinitionCommandInput[];
  readonly services: readonly PlannedService[];
  readonly triggers: readonly PlannedTrigger[];
  readonly before: readonly PlannedTask[];
  readonly after: readonly PlannedTask[];
}

/** Whether a plan changes no service and no trigger. One-off tasks alone are no reason for a release. */
export function isEmpty({ services, triggers }: Plan): boolean {
  const restsService = ({ before, after, force }: PlannedService) =>
    !force &&
    'arn' in after.taskDefinition &&
    after.taskDefinition.arn === before.taskDefinition &&
    after.desired === before.desired &&
    isSameCapacity(after.capacity, before.capacity);
  const restsTrigger = ({ before, after }: PlannedTrigger) =>
    'arn' in after && isSameTrigger(before, { ...after, taskDefinition: after.arn });
  return services.every(restsService) && triggers.every(restsTrigger);
}

/** @throws ReleaseError usage when the configuration does not match the stage */
export function planRelease(config: ReleaseConfig, observed: Observed, images: Images): Plan {
  const planner = new Planner(config, observed, images);
  const services = Object.keys(config.services ?? {}).map((name) => planner.service(name));
  const triggers = Object.entries(config.scheduled ?? {}).flatMap(([name, one]) =>
    planner.triggers(name, one),
  );
  assertOnce(triggers);
  const { before = [], after = [] } = config.tasks ?? {};
  const tasks = {
    before: before.map((one) => planner.task(one)),
    after: after.map((one) => planner.task(one)),
  };
  return { images, register: planner.register, services, triggers, ...tasks };
}

/** @throws ReleaseError usage when two entries of the configuration find the same trigger */
function assertOnce(triggers: readonly PlannedTrigger[]): void {
  const places = Map.groupBy(triggers, ({ before }) => `${before.kind} ${before.place}, target ${before.id}`);
  for (const [place, { length }] of places)
    if (length > 1)
      throw new ReleaseError(
        'usage',
        `Several entries under "scheduled" match the ${place}. Make their "families" narrower.`,
      );
}

class Planner {
  readonly register: RegisterTaskDefinitionCommandInput[] = [];
  readonly #config: ReleaseConfig;
  readonly #observed: Observed;
  readonly #references: ReadonlyMap<string, string>;
  /** The revisions of services and triggers, by family. A one-off task of the same family runs the same revision. */
  readonly #byFamily = new Map<string, Revision>();
  readonly #texts: string[] = [];

  constructor(config: ReleaseConfig, observed: Observed, images: Images) {
    this.#config = config;
    this.#observed = observed;
    this.#references = new Map(Object.entries(images).map(([name, { reference }]) => [name, reference]));
  }

  service(name: string): PlannedService {
    const wanted = this.#wanted(name);
    const live = this.#live(name);
    const scaling = this.#observed.scaling.get(wanted.service);
    const kind = wanted.kind === undefined ? undefined : this.#config.kinds[wanted.kind];
    const { revision, changes } = this.#revise(`The service ${name}`, live.taskDefinition, wanted);
    const count = wanted.count ?? kind?.count;
    const sets = {
      ...(count !== undefined && { desired: Number(count) }),
      ...(kind?.spot !== undefined && { capacity: capacityOf(kind.spot) }),
    };
    return {
      name,
      service: wanted.service,
      before: {
        taskDefinition: live.taskDefinition,
        ...(sets.desired !== undefined && { desired: live.desired }),
        ...(sets.capacity && { capacity: live.capacity }),
      },
      after: { taskDefinition: revision, ...sets },
      isGate: wanted.gate ?? false,
      force: wanted.forceNewDeployment ?? false,
      ...(scaling && { scaling }),
      deployment: live.deployments[0]?.id ?? '',
      changes,
    };
  }

  triggers(name: string, wanted: ScheduledConfig): readonly PlannedTrigger[] {
    const { containers, kind, schedule, count, vcpu, memory } = wanted;
    const number = count ?? (kind === undefined ? undefined : this.#config.kinds[kind]?.count);
    const sets: TriggerSettings = {
      ...(number !== undefined && { count: Number(number) }),
      ...(schedule !== undefined && { schedule }),
    };
    const size = vcpu === undefined ? undefined : { vcpu: Number(vcpu), memory: Number(memory) };
    return (this.#observed.triggers.get(name) ?? []).map((found) => {
      // A target that names a family starts its newest revision. Going back therefore needs the revision of before.
      const live = this.#observed.definitions.get(found.taskDefinition)?.definition.taskDefinitionArn;
      const before = {
        ...{ ...found, taskDefinition: live ?? found.taskDefinition },
        ...present(found, sets),
      };
      const family = familyOf(before.taskDefinition);
      const what = `The scheduled task ${family}`;
      const { revision, changes } = this.#revise(what, found.taskDefinition, {
        containers,
        ...(kind !== undefined && { kind }),
        ...(size && { size }),
      });
      return { name: family, before, after: { ...revision, ...sets }, changes };
    });
  }

  task({
    name,
    family,
    container,
    command,
    timeout,
    network,
    networkOf,
    containers,
    kind,
  }: TaskConfig): PlannedTask {
    const what = `The task ${name}`;
    const shared = containers === undefined && kind === undefined ? this.#byFamily.get(family) : undefined;
    const wanted = { containers: containers ?? {}, ...(kind !== undefined && { kind }) };
    const revision = shared ?? this.#revise(what, family, wanted).revision;
    const place = network
      ? placementIn(network)
      : networkOf === undefined
        ? undefined
        : placementOf(this.#live(networkOf));
    return {
      name,
      taskDefinition: revision,
      container: chosenContainer(what, this.#containersOf(revision), container),
      ...(command && { command }),
      ...(timeout !== undefined && { timeout }),
      ...(place && { placement: place }),
    };
  }

  #wanted(name: string) {
    const wanted = this.#config.services?.[name];
    if (!wanted) throw new ReleaseError('usage', `There is no service ${name} in the configuration.`);
    return wanted;
  }

  #live(name: string): Service {
    const { service } = this.#wanted(name);
    const live = this.#observed.services.get(service);
    if (live?.status === 'ACTIVE' && live.controller !== 'ECS')
      throw new ReleaseError(
        'usage',
        `The service ${service} is deployed by ${live.controller}. This tool releases only services of the ECS controller; remove it from "services".`,
      );
    if (live?.status === 'ACTIVE') {
      const { family } = this.#wanted(name);
      const runs = familyOf(live.taskDefinition);
      if (family === undefined || family === runs) return live;
      throw new ReleaseError(
        'usage',
        `The service ${service} runs the family ${runs}, not ${family}. Correct "family" of ${name}.`,
      );
    }
    throw new ReleaseError(
      'usage',
      `The cluster ${this.#config.stage.cluster} has no active service "${service}". Correct "service" of ${name}, or create the service first${this.#config.stage.copyOf ? ' with "ecs-release environment up"' : ''}.`,
    );
  }

  #revise(
    what: string,
    base: string,
    {
      containers,
      kind,
      size,
    }: { readonly containers: ContainersConfig; readonly kind?: string; readonly size?: Size },
  ): { readonly revision: Revision; readonly changes: readonly Change[] } {
    const live = this.#observed.definitions.get(base) as Live;
    const arn = live.definition.taskDefinitionArn ?? base;
    const values = kind === undefined ? undefined : this.#config.kinds[kind];
    const rendered = render(live, {
      what,
      containers,
      images: this.#references,
      ...(size && { size }),
      ...(kind !== undefined && values && { kind: { name: kind, kind: values } }),
    });
    const changes = differences(live.definition, rendered);
    const revision = changes.length === 0 ? { arn } : this.#registered(rendered);
    const family = familyOf(arn);
    if (!this.#byFamily.has(family)) this.#byFamily.set(family, revision);
    return { revision, changes };
  }

  #registered(rendered: RegisterTaskDefinitionCommandInput): Revision {
    const text = JSON.stringify(rendered);
    const known = this.#texts.indexOf(text);
    if (known >= 0) return { register: known };
    this.#texts.push(text);
    return { register: this.register.push(rendered) - 1 };
  }

  #containersOf(revision: Revision): readonly ContainerDefinition[] {
    const definition =
      'register' in revision
        ? this.register[revision.register]
        : [...this.#observed.definitions.values()].find(
            (live) => live.definition.taskDefinitionArn === revision.arn,
          )?.definition;
    return definition?.containerDefinitions ?? [];
  }
}
