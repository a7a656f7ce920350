/**
 * Reads ecs-release.yaml for one stage: validates it against the schema, replaces its placeholders, and checks the
 * rules that a schema cannot express. Up to ten schema errors are reported at once. No call to AWS is made here.
 */

import { readFileSync } from 'node:fs';
import type { TSchema } from 'typebox';
import { Errors } from 'typebox/value';
import { parseDocument } from 'yaml';
import { messageOf, ReleaseError } from '../errors.ts';
import { millisecondsOf } from './duration.ts';
import { checkSize } from './fargate.ts';
import { interpolate, type Values } from './interpolate.ts';
import { registryOf } from './registry.ts';
import { type ContainersConfig, type KindConfig, ReleaseFile, type StageConfig } from './schema.ts';

/** A kind whose placeholders are replaced, so that it has numbers only. */
export interface Kind {
  readonly count?: number;
  readonly spot?: number;
  readonly vcpu?: number;
  readonly memory?: number;
  readonly container?: string;
}

export interface ReleaseConfig extends Omit<ReleaseFile, 'stages' | 'release' | 'kinds'> {
  readonly stage: StageConfig & { readonly name: string };
  readonly kinds: Readonly<Record<string, Kind>>;
  /** `timeout` and `poll` are in milliseconds. `failures` is a count of tasks. */
  readonly timing: { readonly timeout: number; readonly poll: number; readonly failures: number };
  readonly values: Values;
}

/** @throws ReleaseError usage */
export function readConfig(path: string, stage: string, values: Values): ReleaseConfig {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ReleaseError(
      'usage',
      `${path} cannot be read (${messageOf(error)}). Write one with "ecs-release init".`,
    );
  }
  return configOf(source, stage, values, path);
}

/** @param path the file's name for error messages */
export function configOf(source: string, stage: string, values: Values, path: string): ReleaseConfig {
  const document = parseDocument(source);
  const [wrong] = document.errors;
  if (wrong) throw new ReleaseError('usage', `${path} is not YAML: ${wrong.message}`);
  const raw: unknown = document.toJS();
  check(ReleaseFile, raw, path);
  const { stages, variables = {}, release = {}, ...rest } = raw as ReleaseFile;
  const chosen = stages[stage];
  if (!chosen) {
    const known = Object.keys(stages).join(', ');
    throw new ReleaseError('usage', `${path} has no stage "${stage}". It has ${known}.`);
  }
  const { account, region } = chosen;
  const known = {
    application: rest.application,
    stage,
    account,
    region,
    ...variables,
    ...chosen.variables,
    ...values,
  };
  const all = interpolate(known, known);
  // Only a push needs the stage's tags, and `{family}` is replaced later, once for each family.
  const { tags, ...settled } = chosen;
  const made = interpolate({ ...rest, release, stage: settled }, { family: '{family}', ...all });
  // A copy of a stage has no triggers of its own.
  if (made.stage.copyOf) delete made.scheduled;
  const config: ReleaseConfig = {
    ...made,
    kinds: (made.kinds ?? {}) as Readonly<Record<string, Kind>>,
    stage: { ...made.stage, name: stage, ...(tags && { tags }) },
    timing: {
      timeout: millisecondsOf(made.release.timeout ?? '30m'),
      poll: millisecondsOf(made.release.poll ?? '5s'),
      failures: Number(made.release.failures ?? 2),
    },
    values: all,
  };
  checkMeaning(config);
  return config;
}

/**
 * The tags of pushed images.
 * @throws ReleaseError usage when a value is missing
 */
export function tagsOf({ stage, values }: ReleaseConfig): readonly string[] {
  return interpolate(stage.tags ?? [], values);
}

function check(schema: TSchema, value: unknown, path: string): void {
  const errors = Errors(schema, value).filter(({ keyword }) => keyword !== 'boolean' && keyword !== 'const');
  if (errors.length === 0) return;
  const lines = errors.slice(0, 10).map(({ instancePath, message, params }) => {
    const { additionalProperties, requiredProperties } = params as Record<string, string[] | undefined>;
    const names = additionalProperties ?? requiredProperties;
    return `  ${instancePath || '/'}: ${message}${names ? ` (${names.join(', ')})` : ''}`;
  });
  throw new ReleaseError('usage', `${path} does not match its schema:\n${lines.join('\n')}`);
}

function checkMeaning(config: ReleaseConfig): void {
  const { kinds, images = {}, services = {}, scheduled = {}, tasks = {} } = config;
  for (const [name, kind] of Object.entries(kinds)) checkKind(name, kind);
  for (const image of Object.values(images)) registryOf(config.stage, image);
  const users = [
    ...Object.entries(services).map(([name, one]) => [`The service ${name}`, one] as const),
    ...Object.entries(scheduled).map(([name, one]) => [`The scheduled task ${name}`, one] as const),
    ...[...(tasks.before ?? []), ...(tasks.after ?? [])].map((one) => [`The task ${one.name}`, one] as const),
  ];
  for (const [what, one] of users) {
    const kind = 'kind' in one ? one.kind : undefined;
    if ('vcpu' in one || 'memory' in one) {
      checkBoth(what, one as KindConfig);
      if (kind !== undefined)
        throw new ReleaseError('usage', `${what} has both a kind and its own size. Remove one of them.`);
    }
    if (kind !== undefined && !kinds[kind]) throw unknown(what, 'kind', kind, kinds);
    if (kind !== undefined) typedContainer(what, kind, kinds[kind] as Kind, one.containers ?? {});
    for (const { image } of Object.values(one.containers ?? {}))
      if (image !== undefined && !images[image]) throw unknown(what, 'image', image, images);
    if ('networkOf' in one && one.networkOf !== undefined && !services[one.networkOf])
      throw unknown(what, 'service', one.networkOf, services);
  }
}

function checkBoth(what: string, { vcpu, memory }: Pick<KindConfig, 'vcpu' | 'memory'>): void {
  if ((vcpu === undefined) !== (memory === undefined))
    throw new ReleaseError('usage', `${what} needs both vcpu and memory, or neither.`);
  if (vcpu !== undefined) checkSize(what, Number(vcpu), Number(memory));
}

function checkKind(name: string, kind: KindConfig): void {
  checkBoth(`The kind ${name}`, kind);
  const { spot = 0 } = kind;
  if (Number(spot) > 100)
    throw new ReleaseError(
      'usage',
      `The kind ${name} has spot ${spot}, but spot is a percentage from 0 to 100.`,
    );
}

/**
 * Finds the container that gets application_type.
 * @throws ReleaseError usage when the choice is ambiguous
 */
export function typedContainer(what: string, name: string, kind: Kind, containers: ContainersConfig): string {
  const names = Object.keys(containers);
  const chosen = kind.container ?? (names.length === 1 ? names[0] : undefined);
  if (chosen !== undefined) return chosen;
  throw new ReleaseError(
    'usage',
    `${what} configures ${names.length} containers, so the kind ${name} must name the one that gets application_type: set its "container".`,
  );
}

function unknown(what: string, sort: string, name: string, known: object): ReleaseError {
  const names = Object.keys(known).join(', ') || 'none';
  return new ReleaseError('usage', `${what} has the unknown ${sort} "${name}". There are: ${names}.`);
}
