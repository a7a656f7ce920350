/**
 * Checks a field of a body against the rules for hosted containers. A field without a rule is accepted only with an
 * empty value, which Docker's command line and SDKs send for unset fields. It is then left out, because a newer Docker
 * may give it a meaning.
 */

import type { Labels } from '../../docker-engine/answers.ts';
import type { Shape } from '../../docker-engine/docker-json.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import { isRecord } from '../../parsing/json.ts';
import type { Allowance } from '../../settings/hosted-allow.ts';

/** The owner of the body, and what this host allows beyond the rules. */
export interface Asker {
  readonly labels: Labels;
  readonly paths: Paths;
  readonly allowed: Allowance;
  /** Mounts that other rules of this service have accepted: those of operators and of local development. */
  readonly granted: readonly unknown[];
}

export interface Rule extends Shape {
  /** The accepted values, for people. */
  readonly says: string;
  /** @returns the value for Docker; undefined: none @throws {ServiceError} `create.*` */
  readonly accept: (value: unknown, at: string, asker: Asker) => unknown;
  readonly fields?: Fields;
}

export type Fields = Readonly<Record<string, Rule>>;

/** @param token the HOSTED_ALLOW token that would allow it, if there is one */
export function refusal(at: string, value: unknown, token?: string): ServiceError {
  const remedy = token
    ? `leave it out, or let the operator of this host allow it with HOSTED_ALLOW=${printable(token)}`
    : 'leave it out';
  return new ServiceError('create.not_allowed', { field: printable(at), value: show(value), remedy });
}

export function misshapen(at: string, what: string): ServiceError {
  return new ServiceError('create.bad_body', { why: `${printable(at)} must be ${what}` });
}

const LONGEST_SHOWN = 100;

function show(value: unknown): string {
  const text = printable(typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? ''));
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** The text may be shown on a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 4 * LONGEST_SHOWN);
}

export function isAllowed({ allowed }: Asker, field: string, value: string): boolean {
  return allowed.get(field)?.has(value) ?? false;
}

/** Whether a value counts as unset. */
export function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isEmpty);
  if (isRecord(value)) return Object.values(value).every(isEmpty);
  return value === null || value === undefined || value === false || value === 0 || value === '';
}

/** Docker treats null as a missing field. */
function rule(says: string, accept: Rule['accept'], shape: Shape = {}): Rule {
  return {
    says,
    ...(shape as { fields?: Fields }),
    accept: (value, at, asker) => (value === null ? null : accept(value, at, asker)),
  };
}

export const nothing: Rule = rule('nothing but its default', (value, at) => {
  if (!isEmpty(value)) throw refusal(at, value);
  return undefined;
});

export function object(fields: Fields, says = 'the fields below'): Rule {
  return rule(
    says,
    (value, at, asker) => {
      if (!isRecord(value)) throw misshapen(at || 'the body', 'an object');
      const taken = Object.entries(value).map(([name, one]): [string, unknown] => {
        const of = Object.hasOwn(fields, name) ? (fields[name] as Rule) : nothing;
        return [name, of.accept(one, at ? `${at}.${name}` : name, asker)];
      });
      return Object.fromEntries(taken.filter(([, one]) => one !== undefined));
    },
    { fields },
  );
}

export function list(each: Rule, says = `a list, each: ${each.says}`): Rule {
  return rule(
    says,
    (value, at, asker) => {
      if (!Array.isArray(value)) throw misshapen(at, 'a list');
      return value.map((item, i) => {
        if (item === null) throw misshapen(`${at}[${i}]`, 'more than null');
        return each.accept(item, `${at}[${i}]`, asker);
      });
    },
    { each },
  );
}

/** An object whose names are data. */
export function mapOf(values: Rule, says: string, name = /^/): Rule {
  return rule(
    says,
    (value, at, asker) => {
      if (!isRecord(value)) throw misshapen(at, 'an object');
      const taken = Object.entries(value).map(([key, one]) => {
        if (!name.test(key)) throw refusal(at, key);
        return [key, values.accept(one, `${at}.${key}`, asker)];
      });
      return Object.fromEntries(taken);
    },
    { values },
  );
}

export const flag: Rule = rule('true or false', (value, at) => {
  if (typeof value !== 'boolean') throw misshapen(at, 'true or false');
  return value;
});

export function number(least: number, says = `a whole number from ${least}`, most = Infinity): Rule {
  return rule(says, (value, at) => {
    if (!Number.isSafeInteger(value)) throw misshapen(at, 'a whole number');
    if ((value as number) < least || (value as number) > most) throw refusal(at, value);
    return value;
  });
}

/** @param token the field of HOSTED_ALLOW that allows other values */
export function text(says: string, accepted = /^/, token?: string): Rule {
  return rule(says, (value, at, asker) => {
    if (typeof value !== 'string') throw misshapen(at, 'a string');
    if (accepted.test(value) || (token && isAllowed(asker, token, value))) return value;
    throw refusal(at, value, token && `${token}=${value}`);
  });
}

/** Checks a string beyond its form. */
export function judged(says: string, judge: (value: string, at: string, asker: Asker) => unknown): Rule {
  return rule(says, (value, at, asker) => {
    if (typeof value !== 'string') throw misshapen(at, 'a string');
    return judge(value, at, asker);
  });
}

/** Checks a value of any form. */
export function anyForm(says: string, judge: Rule['accept'], shape: Shape = {}): Rule {
  return rule(says, judge, shape);
}

const aString = text('any text');
export const anyText: Rule = aString;
export const texts: Rule = list(aString, 'any texts');
/** Docker accepts a string instead of a list with one item. */
export const command: Rule = rule('any command', (value, at, asker) =>
  typeof value === 'string' ? value : texts.accept(value, at, asker),
);
