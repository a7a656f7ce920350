/**
 * Renders a new revision from the current task definition. Only the named containers change, and only in the configured
 * fields. Everything else stays, including tags.
 */

import type {
  ContainerDefinition,
  RegisterTaskDefinitionCommandInput,
  Tag,
  TaskDefinition,
} from '@aws-sdk/client-ecs';
import { type Kind, typedContainer } from '../config/read.ts';
import type { ContainersConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';

/** Fields that DescribeTaskDefinition returns and RegisterTaskDefinition rejects. */
const READ_ONLY = [
  'taskDefinitionArn',
  'revision',
  'status',
  'requiresAttributes',
  'compatibilities',
  'registeredAt',
  'deregisteredAt',
  'registeredBy',
] as const;

export interface Live {
  readonly definition: TaskDefinition;
  readonly tags: readonly Tag[];
}

/** The size of a task: vCPUs, and memory in MiB. */
export interface Size {
  readonly vcpu: number;
  readonly memory: number;
}

export interface Wanted {
  /** The subject of error messages, such as "The service portal". */
  readonly what: string;
  readonly containers: ContainersConfig;
  readonly kind?: { readonly name: string; readonly kind: Kind };
  readonly size?: Size;
  /** Full image references, by their names in the configuration. */
  readonly images: ReadonlyMap<string, string>;
}

/** @throws ReleaseError usage when a container or an image is missing */
export function render({ definition, tags }: Live, wanted: Wanted): RegisterTaskDefinitionCommandInput {
  const { what, containers, kind } = wanted;
  const names = (definition.containerDefinitions ?? []).map(({ name = '' }) => name);
  for (const name of Object.keys(containers)) {
    if (!names.includes(name))
      throw new ReleaseError(
        'usage',
        `${what} has no container "${name}" in ${definition.family}:${definition.revision}. It has ${names.join(', ')}.`,
      );
  }
  const typed = kind && typedContainer(what, kind.name, kind.kind, containers);
  const { vcpu, memory } = wanted.size ?? kind?.kind ?? {};
  const rendered = {
    ...definition,
    containerDefinitions: (definition.containerDefinitions ?? []).map((container) =>
      renderContainer(container, wanted, container.name === typed ? kind?.name : undefined),
    ),
    ...(vcpu !== undefined && { cpu: String(vcpu * 1024), memory: String(memory) }),
    ...(tags.length > 0 && { tags: [...tags] }),
  };
  return inputOf(rendered);
}

/** Returns the input that registers this task definition again. */
export function inputOf(definition: TaskDefinition): RegisterTaskDefinitionCommandInput {
  const input: Record<string, unknown> = { ...definition };
  for (const field of READ_ONLY) delete input[field];
  return input as unknown as RegisterTaskDefinitionCommandInput;
}

function renderContainer(container: ContainerDefinition, wanted: Wanted, type?: string): ContainerDefinition {
  const {
    image,
    environment = {},
    secrets,
    command,
    cpu,
    memory,
  } = wanted.containers[container.name ?? ''] ?? {};
  const reference = image === undefined ? undefined : wanted.images.get(image);
  if (image !== undefined && reference === undefined)
    throw new ReleaseError('usage', `The image ${image} of ${wanted.what} was not resolved.`);
  const changes = { ...environment, ...(type !== undefined && { application_type: type }) };
  const added = (secrets?.keys ?? []).map((key) => ({ name: key, valueFrom: `${secrets?.from}:${key}::` }));
  // ECS rejects a name that is both a variable and a secret.
  const secretNames = added.map(({ name }) => name);
  const variables = mergeNamed(
    (container.environment ?? []).filter(
      ({ name = '' }) => !(name in changes) && !secretNames.includes(name),
    ),
    Object.entries(changes).flatMap(([name, value]) => (value === null ? [] : [{ name, value }])),
    container.environment,
  );
  const secretList = mergeNamed(
    (container.secrets ?? []).filter(({ name = '' }) => !secretNames.includes(name) && !(name in changes)),
    added,
    container.secrets,
  );
  return {
    ...container,
    ...(reference !== undefined && { image: reference }),
    ...((container.environment || variables.length > 0) && { environment: variables }),
    ...((container.secrets || secretList.length > 0) && { secrets: secretList }),
    ...(command && { command }),
    ...(cpu !== undefined && { cpu: Number(cpu) }),
    ...(memory !== undefined && { memory: Number(memory) }),
  };
}

/** Keeps the order of `before`, so that an unchanged list compares as equal. */
function mergeNamed<T extends { name?: string | undefined }>(kept: T[], added: T[], before: T[] = []): T[] {
  const place = new Map(before.map(({ name }, i) => [name, i]));
  const rank = ({ name }: T) => place.get(name) ?? before.length;
  return [...kept, ...added].sort((a, b) => rank(a) - rank(b));
}
