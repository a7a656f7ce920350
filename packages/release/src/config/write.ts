/** Makes a configuration from the services and triggers of a cluster. Pure. */

import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Found } from '../aws/find-all.ts';
import { familyOf, type Trigger } from '../release/cloud.ts';
import { parseRegistry } from './registry.ts';

export interface Place {
  readonly account: string;
  readonly region: string;
  readonly cluster: string;
  readonly stage: string;
}

/** @returns the configuration, in the structure of the YAML or JSON file */
export function configurationOf({ services, scaling, triggers, definitions }: Found, place: Place) {
  const { account, region, cluster, stage } = place;
  const images = new Images(place);
  const containersOf = (name: string) => images.containersOf(definitions.get(name) ?? {});
  const scheduled = new Names();
  return {
    application: cluster.replace(/^.*\//, ''),
    stages: {
      [stage]: { account, region, cluster, record: '.ecs-release', tags: [`${stage}-{commit}`] },
    },
    services: Object.fromEntries(
      services.map(({ name, taskDefinition, isBalanced }) => [
        name,
        {
          service: name,
          // The best gate is a service that a load balancer checks.
          ...(isBalanced && services.length > 1 && { gate: true }),
          ...(scaling.has(name) && { suspendAutoScaling: true }),
          containers: containersOf(taskDefinition),
        },
      ]),
    ),
    scheduled: Object.fromEntries(
      [...Map.groupBy(triggers, keyOf)].map(([, [first]]) => {
        const { taskDefinition, kind, place: from } = first as Trigger;
        const families = familyOf(taskDefinition);
        const rule = from === families ? {} : { rule: from };
        return [
          scheduled.take(families, `${families}-${from}`),
          {
            families,
            ...(kind === 'rule' ? rule : { scheduleGroup: from }),
            containers: containersOf(taskDefinition),
          },
        ];
      }),
    ),
    images: images.all(),
  };
}

/** One entry of the configuration covers all targets of a rule, or schedules of a group, that start one family. */
function keyOf({ kind, place, taskDefinition }: Trigger): string {
  return `${kind} ${place} ${familyOf(taskDefinition)}`;
}

/** Gives each service or trigger a unique name. */
class Names {
  readonly #taken = new Set<string>();

  take(short: string, long: string): string {
    const base = this.#taken.has(short) ? long : short;
    let name = base;
    for (let i = 2; this.#taken.has(name); i += 1) name = `${base}-${i}`;
    this.#taken.add(name);
    return name;
  }
}

/** Images in ECR belong in the configuration. Other images are deployed as they are. */
class Images {
  readonly #place: Place;
  readonly #names = new Names();
  readonly #found = new Map<string, { readonly name: string; readonly image: object }>();

  constructor(place: Place) {
    this.#place = place;
  }

  containersOf({ containerDefinitions = [] }: TaskDefinition): Record<string, { readonly image: string }> {
    const own = containerDefinitions.flatMap(({ name = '', image = '' }) => {
      const key = this.#nameOf(image);
      return key === undefined ? [] : [[name, { image: key }] as const];
    });
    return Object.fromEntries(own);
  }

  all(): Record<string, object> {
    return Object.fromEntries([...this.#found.values()].map(({ name, image }) => [name, image]));
  }

  #nameOf(reference: string): string | undefined {
    const [, host = '', repository = ''] = /^([^/]+[.:][^/]*)\/([^@:]+)/.exec(reference) ?? [];
    const { account, region } = this.#place;
    const registry = parseRegistry(host, this.#place);
    if (repository === '' || !registry) return undefined;
    const key = `${host}/${repository}`;
    const known = this.#found.get(key);
    if (known) return known.name;
    const isOwn = registry.account === account && registry.region === region && host.includes('.ecr.');
    const name = this.#names.take(repository.replace(/^.*\//, ''), repository.replaceAll('/', '-'));
    const image = { repository, ...(!isOwn && { registry: host }), context: '.' };
    this.#found.set(key, { name, image });
    return name;
  }
}
