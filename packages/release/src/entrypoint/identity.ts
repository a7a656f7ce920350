/**
 * Fetches the secret that IDENTITY names, and validates it before a program sees it. No message contains its values.
 */

import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { isPlaceholder } from '../placeholder.ts';
import { describe, EntryError, type EntryProblem } from './entry-error.ts';

export type Identity = Readonly<Record<string, string>>;

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws EntryError */
export async function fetchIdentity(
  client: SecretsManagerClient,
  name: string,
  region: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    const request = new GetSecretValueCommand({ SecretId: name });
    const { SecretString } = await client.send(request, { abortSignal: signal });
    if (SecretString !== undefined) return SecretString;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw explain(error, name, region);
  }
  throw new EntryError(
    'not JSON',
    `the secret ${name} is binary; store its values as one JSON object in SecretString`,
  );
}

function explain(error: unknown, name: string, region: string): EntryError {
  const told = (problem: EntryProblem, why: string) => new EntryError(problem, why, { cause: error });
  const said = describe(error);
  switch ((error as Error).name) {
    case 'ResourceNotFoundException':
      return told(
        'secret missing',
        `Secrets Manager has no secret ${name} in ${region}, or it has no value yet (${said}); check that IDENTITY names it, and that the account and the region are right`,
      );
    case 'AccessDeniedException':
    case 'AccessDenied':
    case 'UnrecognizedClientException':
    case 'ExpiredTokenException':
      return told(
        'access denied',
        `the secret ${name} may not be read (${said}); allow the task role (not the execution role) secretsmanager:GetSecretValue on it, and kms:Decrypt if it has its own key`,
      );
    case 'CredentialsProviderError':
      return told('access denied', `there are no AWS credentials (${said}); give the task a task role`);
    case 'DecryptionFailure':
      return told(
        'decryption failed',
        `the secret ${name} cannot be decrypted (${said}); allow the task role kms:Decrypt on the secret's key, and check that the key is enabled`,
      );
    case 'InvalidRequestException':
      return told(
        'secret missing',
        `the secret ${name} cannot be read now (${said}); it may be marked for deletion: restore it`,
      );
    case 'InvalidParameterException':
      return told(
        'secret missing',
        `"${name}" is not a valid name of a secret (${said}); correct IDENTITY in the task definition`,
      );
    default:
      return told(
        'secrets manager',
        `Secrets Manager did not return the secret ${name} (${said}); check that the task can reach it on port 443 (through a NAT gateway or a VPC endpoint), and start the task again`,
      );
  }
}

/** @throws EntryError that names keys, but never values */
export function parseIdentity(text: string, name: string, mayBeEmpty: ReadonlySet<string>): Identity {
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch {
    // The parser's own message quotes a part of the secret.
    throw new EntryError('not JSON', `the secret ${name} is not JSON; store its values as one JSON object`);
  }
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole))
    throw new EntryError(
      'not a dictionary',
      `the secret ${name} is JSON, but not an object; store its values as {"NAME": "value"}`,
    );
  const entries = Object.entries(whole);
  if (entries.length === 0)
    throw new EntryError('not a dictionary', `the secret ${name} is an empty object; store its values in it`);
  const isValue = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);
  const odd = entries.filter(
    ([key, value]) => !NAME.test(key) || !isValue(value) || String(value).includes('\0'),
  );
  if (odd.length > 0)
    throw new EntryError(
      'not a dictionary',
      `the secret ${name} has keys that are not valid variable names, or whose values are not text: ${keysOf(odd)}`,
    );
  const unfilled = entries.filter(([key, value]) => isUnfilled(String(value), mayBeEmpty.has(key)));
  if (unfilled.length > 0)
    throw new EntryError(
      'placeholders',
      `the secret ${name} still has empty values or placeholders: ${keysOf(unfilled)}; fill them in, or name those that may be empty in "mayBeEmpty" of the table`,
    );
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
}

function isUnfilled(value: string, mayBeEmpty: boolean): boolean {
  return value.trim() === '' ? !mayBeEmpty : isPlaceholder(value);
}

function keysOf(entries: readonly (readonly [string, unknown])[]): string {
  return entries.map(([key]) => JSON.stringify(key)).join(', ');
}
