/** Lists the changes of a new revision, by container. Values of variables are left out, because they may be secrets. */

import { isDeepStrictEqual } from 'node:util';
import type {
  ContainerDefinition,
  RegisterTaskDefinitionCommandInput,
  TaskDefinition,
} from '@aws-sdk/client-ecs';

export interface Change {
  /** undefined: the change concerns the whole task. */
  readonly container: string | undefined;
  readonly field: string;
  /** undefined: there was no value, or it is not shown. */
  readonly from?: string;
  readonly to?: string;
}

type Shown = string | number | undefined;
const SHOWN = ['image', 'cpu', 'memory'];

export function differences(
  live: TaskDefinition,
  rendered: RegisterTaskDefinitionCommandInput,
): readonly Change[] {
  const ofTask = fields(live, rendered, ['containerDefinitions'])
    .filter((field) => field in rendered && field !== 'tags')
    .map((field) => changeOf(undefined, field, live, rendered));
  const before = new Map((live.containerDefinitions ?? []).map((one) => [one.name, one]));
  return [
    ...ofTask,
    ...(rendered.containerDefinitions ?? []).flatMap((one) => ofContainer(before.get(one.name) ?? {}, one)),
  ];
}

function ofContainer(before: ContainerDefinition, after: ContainerDefinition): readonly Change[] {
  const { name } = after;
  return [
    ...fields(before, after, ['environment', 'secrets']).map((field) => changeOf(name, field, before, after)),
    ...namesThatDiffer(before.environment, after.environment).map((one) => ({
      container: name,
      field: `environment ${one}`,
    })),
    ...namesThatDiffer(before.secrets, after.secrets).map((one) => ({
      container: name,
      field: `secret ${one}`,
    })),
  ];
}

function fields(before: object, after: object, except: readonly string[]): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.filter(
    (name) => !except.includes(name) && !isDeepStrictEqual(read(before, name), read(after, name)),
  );
}

function changeOf(container: string | undefined, field: string, before: object, after: object): Change {
  if (!SHOWN.includes(field)) return { container, field };
  const [from, to] = [read(before, field), read(after, field)] as [Shown, Shown];
  return {
    container,
    field,
    ...(from !== undefined && { from: String(from) }),
    ...(to !== undefined && { to: String(to) }),
  };
}

function read(one: object, field: string): unknown {
  return (one as Readonly<Record<string, unknown>>)[field];
}

type Named = { readonly name?: string | undefined };

function namesThatDiffer(before: readonly Named[] = [], after: readonly Named[] = []): readonly string[] {
  const [old, made] = [byName(before), byName(after)];
  const names = [...new Set([...old.keys(), ...made.keys()])];
  return names.filter((name) => !isDeepStrictEqual(old.get(name), made.get(name)));
}

function byName(list: readonly Named[]): ReadonlyMap<string, Named> {
  return new Map(list.map((one) => [one.name ?? '', one]));
}
