/**
 * Checks the secrets that task definitions refer to: secrets of Secrets Manager, keys of JSON secrets, parameters of
 * Systems Manager, and the secret that `IDENTITY` names. No value is shown or kept.
 */

import type { TaskDefinition } from '@aws-sdk/client-ecs';
import { GetSecretValueCommand, ResourceNotFoundException } from '@aws-sdk/client-secrets-manager';
import { GetParametersCommand } from '@aws-sdk/client-ssm';
import type { Clients } from '../aws/clients.ts';
import { inParts } from '../aws/task-reads.ts';
import { messageOf } from '../errors.ts';
import { isPlaceholder } from '../placeholder.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';

/** The output of a script whose value was missing. */
const NO_VALUE = /^(|null|undefined)$/;

/** arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME[:KEY:STAGE:VERSION] */
export function partsOf(valueFrom: string): { readonly secret: string; readonly key: string } | undefined {
  const parts = valueFrom.split(':');
  if (parts[2] !== 'secretsmanager') return undefined;
  return { secret: parts.slice(0, 7).join(':'), key: parts[7] ?? '' };
}

export async function checkSecrets(
  clients: Clients,
  definitions: readonly TaskDefinition[],
): Promise<readonly Check[]> {
  const containers = definitions.flatMap(({ containerDefinitions = [] }) => containerDefinitions);
  const keys = new Map<string, Set<string>>();
  const parameters = new Set<string>();
  for (const { valueFrom = '' } of containers.flatMap(({ secrets = [] }) => secrets)) {
    const parts = partsOf(valueFrom);
    if (parts) keys.set(parts.secret, (keys.get(parts.secret) ?? new Set()).add(parts.key));
    else parameters.add(valueFrom.replace(/^.*:parameter(?=\/)/, ''));
  }
  const identities = containers.flatMap(({ environment = [] }) =>
    environment.flatMap(({ name, value = '' }) => (name === 'IDENTITY' && value !== '' ? [value] : [])),
  );
  const found = await Promise.all([
    ...[...keys].map(([secret, wanted]) =>
      checkSecret(clients, secret, (text) => problemsOf(text, [...wanted])),
    ),
    ...[...new Set(identities)].map((secret) => checkSecret(clients, secret, identityProblems)),
    ...inParts([...parameters], 10).map((names) => checkParameters(clients, names)),
  ]);
  return found.flat();
}

async function checkSecret(
  clients: Clients,
  SecretId: string,
  judge: (text: string) => readonly string[],
): Promise<readonly Check[]> {
  const what = `secret ${SecretId.replace(/^.*:secret:/, '')}`;
  try {
    const request = new GetSecretValueCommand({ SecretId });
    const { SecretString = '' } = await (await clients.secrets()).send(request);
    const problems = judge(SecretString);
    const empty = judge === identityProblems ? emptyKeys(SecretString) : [];
    if (problems.length > 0) return [bad(what, `${problems.join('; ')}. Fill it in Secrets Manager.`)];
    if (empty.length > 0)
      return [warning(what, `the keys ${empty.join(', ')} are empty. Set them if the program needs them.`)];
    return [good(what)];
  } catch (error) {
    if (error instanceof ResourceNotFoundException)
      return [bad(what, 'it does not exist. Create it in Secrets Manager.')];
    return [unknown(what, messageOf(error))];
  }
}

async function checkParameters(clients: Clients, Names: string[]): Promise<readonly Check[]> {
  try {
    const answer = await (await clients.ssm()).send(new GetParametersCommand({ Names }));
    const missing = answer.InvalidParameters ?? [];
    return Names.map((name) =>
      missing.includes(name)
        ? bad(`parameter ${name}`, 'it does not exist. Create it in Systems Manager.')
        : good(`parameter ${name}`),
    );
  } catch (error) {
    return [unknown(`parameters ${Names.join(', ')}`, messageOf(error))];
  }
}

/**
 * Judges the secret that a program itself reads. All of its keys count, and empty values may be intended.
 * @returns the problems, with names of keys but no values
 */
export function identityProblems(text: string): readonly string[] {
  const values = objectOf(text);
  if (typeof values === 'string') return [values];
  return Object.entries(values)
    .filter(([, value]) => value !== '' && isUnfilled(value))
    .map(([key]) => `the key ${key} is a placeholder`);
}

function emptyKeys(text: string): readonly string[] {
  return Object.entries(objectOf(text))
    .filter(([, value]) => value === '')
    .map(([key]) => key);
}

function isUnfilled(value: unknown): boolean {
  if (typeof value !== 'string') return value === null;
  return NO_VALUE.test(value.trim()) || isPlaceholder(value);
}

/** @returns the object, or why the text is not one */
function objectOf(text: string): Readonly<Record<string, unknown>> | string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
      return 'it is not one JSON object';
    return parsed as Readonly<Record<string, unknown>>;
  } catch {
    return 'it is not JSON';
  }
}

/** @returns the problems, with names of keys but no values */
export function problemsOf(text: string, wanted: readonly string[]): readonly string[] {
  const keys = wanted.filter((key) => key !== '');
  if (keys.length === 0) return isUnfilled(text) ? ['it is empty, or a placeholder'] : [];
  const values = objectOf(text);
  if (typeof values === 'string') return [values];
  return keys.flatMap((key) => {
    if (!(key in values)) return [`the key ${key} is missing`];
    return isUnfilled(values[key]) ? [`the key ${key} is empty, or a placeholder`] : [];
  });
}
