/**
 * The predecessor's callers send mounts as a piece of a `docker create` command line. It is parsed into
 * structured mounts here, and anything in it that is not a mount is refused.
 */

import { isAbsolute, normalize } from 'node:path';
import { ServiceError } from '../../errors/service-error.ts';
import type { Mount } from './create-body.ts';

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

/**
 * Accepts `--mount type=bind,source=…,destination=…[,readonly][,bind-propagation=…]` and `-v
 * source:destination[:ro|rw|propagation]`, also in their long and `=` forms, separated by white space.
 * @throws {ServiceError} `create.bad_mount`
 */
export function parseMountCommand(command: string): Mount[] {
  const words = command.split(/\s+/).filter(Boolean).values();
  const mounts: Mount[] = [];
  for (const word of words) {
    const [, flag, inline] = /^(--mount|--volume|-v)(?:=(.*))?$/.exec(word) ?? [];
    if (!flag) throw refusal(`"${word}" is neither --mount nor -v; nothing else can be given`);
    const value = inline ?? words.next().value;
    if (!value) throw refusal(`${flag} needs a value`);
    mounts.push(flag === '--mount' ? parseMount(value) : parseVolume(value));
  }
  return mounts;
}

function parseMount(text: string): Mount {
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const [name, value = 'true'] = splitOnce(part, '=');
    const canonical = ALIASES.get(name.toLowerCase());
    if (!canonical) throw refusal(`"${name}" in "${text}" is not a field of a bind mount`);
    if (fields.has(canonical)) throw refusal(`"${text}" gives its ${canonical} twice`);
    fields.set(canonical, value);
  }
  if (fields.get('type') !== 'bind') throw refusal(`"${text}" must have type=bind`);
  const readOnly = fields.get('readonly') ?? 'false';
  if (!['true', 'false', '1', '0'].includes(readOnly))
    throw refusal(`readonly must be true or false in "${text}"`);
  const options = fields.get('bind-propagation');
  return bind(
    text,
    fields.get('source'),
    fields.get('target'),
    readOnly === 'true' || readOnly === '1',
    options,
  );
}

const ALIASES = new Map(
  Object.entries({
    type: 'type',
    source: 'source',
    src: 'source',
    destination: 'target',
    dst: 'target',
    target: 'target',
    readonly: 'readonly',
    ro: 'readonly',
    'bind-propagation': 'bind-propagation',
  }),
);

function parseVolume(text: string): Mount {
  const [source, target, options = '', ...rest] = text.split(':');
  if (rest.length > 0) throw refusal(`"${text}" has too many colons`);
  const words = options.split(',').filter(Boolean);
  const unknown = words.find((word) => !['ro', 'rw', ...PROPAGATIONS].includes(word));
  if (unknown) throw refusal(`"${unknown}" in "${text}" is not one of ro, rw, ${PROPAGATIONS.join(', ')}`);
  const [propagation, ...others] = words.filter((word) => PROPAGATIONS.includes(word));
  const contradicts = words.includes('ro') && words.includes('rw');
  if (contradicts || others.length > 0) throw refusal(`"${text}" contradicts itself`);
  return bind(text, source, target, words.includes('ro'), propagation);
}

function bind(text: string, source = '', target = '', readOnly = false, propagation?: string): Mount {
  for (const path of [source, target]) {
    if (!isAbsolute(path)) throw refusal(`"${path}" in "${text}" must be an absolute path`);
  }
  if (normalize(target) === '/') throw refusal(`"${text}" must not replace the container's root`);
  if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
    throw refusal(`"${propagation}" in "${text}" is not one of ${PROPAGATIONS.join(', ')}`);
  }
  return {
    Type: 'bind',
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    ...(propagation === undefined ? {} : { BindOptions: { Propagation: propagation } }),
  };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function refusal(why: string): ServiceError {
  return new ServiceError('create.bad_mount', { why });
}
