/**
 * Checks the secrets that task definitions refer to. Each secret must exist, and so must each key that is used of a
 * JSON secret. No value is shown or kept.
 */

import { GetSecretValueCommand, ResourceNotFoundException } from '@aws-sdk/client-secrets-manager';
import type { Clients } from '../aws/clients.ts';
import { messageOf } from '../errors.ts';
import { bad, type Check, good, unknown } from './check.ts';

/** Texts that people leave in place of a value. */
const PLACEHOLDER = /^(|change[-_ ]?me|placeholder|todo|tbd|xxx+|<.*>|\.\.\.|null|undefined)$/i;

/** arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME[:KEY:STAGE:VERSION] */
export function partsOf(valueFrom: string): { readonly secret: string; readonly key: string } | undefined {
  const parts = valueFrom.split(':');
  if (parts[2] !== 'secretsmanager') return undefined;
  return { secret: parts.slice(0, 7).join(':'), key: parts[7] ?? '' };
}

/** @param references the `valueFrom` texts of task definitions */
export async function checkSecrets(
  clients: Clients,
  references: readonly string[],
): Promise<readonly Check[]> {
  const keys = new Map<string, Set<string>>();
  for (const reference of references) {
    const parts = partsOf(reference);
    if (!parts) continue;
    keys.set(parts.secret, (keys.get(parts.secret) ?? new Set()).add(parts.key));
  }
  return await Promise.all([...keys].map(([secret, wanted]) => checkSecret(clients, secret, [...wanted])));
}

async function checkSecret(clients: Clients, SecretId: string, wanted: readonly string[]): Promise<Check> {
  const what = `secret ${SecretId.replace(/^.*:secret:/, '')}`;
  try {
    const { SecretString = '' } = await (await clients.secrets()).send(
      new GetSecretValueCommand({ SecretId }),
    );
    const problems = problemsOf(SecretString, wanted);
    return problems.length === 0
      ? good(what)
      : bad(what, `${problems.join('; ')}. Fill it in Secrets Manager.`);
  } catch (error) {
    if (error instanceof ResourceNotFoundException)
      return bad(what, 'it does not exist. Make it in Secrets Manager.');
    return unknown(what, messageOf(error));
  }
}

/** @returns the problems, with names of keys but no values */
export function problemsOf(text: string, wanted: readonly string[]): readonly string[] {
  const keys = wanted.filter((key) => key !== '');
  if (keys.length === 0) return PLACEHOLDER.test(text.trim()) ? ['it is empty, or a placeholder'] : [];
  let values: Readonly<Record<string, unknown>>;
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed))
      return ['it is not one JSON object'];
    values = parsed as Readonly<Record<string, unknown>>;
  } catch {
    return ['it is not JSON'];
  }
  return keys.flatMap((key) => {
    if (!(key in values)) return [`the key ${key} is missing`];
    const value = values[key];
    const isPlaceholder = value === null || (typeof value === 'string' && PLACEHOLDER.test(value.trim()));
    return isPlaceholder ? [`the key ${key} is empty, or a placeholder`] : [];
  });
}
