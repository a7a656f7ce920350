/** Collects the files for the ISO of a virtual machine, and reports all problems with them. */

import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../../errors/service-error.ts';
import { parseNodesFile } from '../../managed-nodes/feeds/nodes-file.ts';
import { examineSettings } from '../../settings/load.ts';
import { isLoopback } from '../../settings/parsers.ts';
import { SCHEMA } from '../../settings/schema.ts';
import type { Setting } from '../../settings/setting.ts';

/** Paths of files; the empty string if there is none. */
export interface SeedSources {
  readonly settings: string;
  readonly secrets: string;
  readonly nodes: string;
  readonly sshKey: string;
}

export interface SeedFiles {
  /** The content of each file, by its path on the ISO. */
  readonly texts: Readonly<Record<string, string>>;
}

type Variables = Readonly<Record<string, string>>;

/** The path of the file of nodes on the machine. */
const NODES_FILE = '/etc/ecs-host-service/nodes.yaml';
const OTHERS = 0o077;

/** @returns the files for the ISO, or a text with the problems */
export function gather(from: SeedSources): SeedFiles | string {
  try {
    if (from.settings === '') throw new Error('SETTINGS must name a file with the settings of the host');
    const given = variablesIn(from.settings);
    const settings = from.nodes === '' ? given : { NODES_FEED: 'file', ...given, NODES_FILE };
    const secrets = from.secrets === '' ? {} : secretsIn(from.secrets);
    const misplaced = Object.keys(settings).filter(isSecret);
    if (misplaced.length > 0) throw new Error(`${misplaced.join(', ')}: put secrets into SECRETS`);
    const { settings: found, problems } = examineSettings({ ...settings, ...secrets });
    if (problems.length > 0) throw new Error(`the settings are not valid:\n${problems.join('\n')}`);
    const { LISTEN_ADDRESS: address = '', LISTEN_PORT: port } = found;
    return {
      texts: {
        settings: asLines(settings),
        ...Object.fromEntries(Object.entries(secrets).map(([name, text]) => [`credentials/${name}`, text])),
        ...(from.nodes !== '' && { 'nodes.yaml': nodesIn(from.nodes) }),
        ...(from.sshKey !== '' && { 'ssh-key': keyIn(from.sshKey) }),
        ...(!isLoopback(address) && { port: String(port) }),
      },
    };
  } catch (error) {
    return `The ISO was not made: ${messageOf(error)}`;
  }
}

function secretsIn(path: string): Variables {
  const { mode, uid } = statSync(path);
  if ((mode & OTHERS) !== 0 || uid !== process.getuid?.())
    throw new Error(`${path}: other users can read it; run chown and chmod 600, so that only you can`);
  const found = variablesIn(path);
  const others = Object.keys(found).filter((name) => !isSecret(name));
  if (others.length > 0) throw new Error(`${others.join(', ')}: SECRETS may contain only secrets`);
  return found;
}

function isSecret(name: string): boolean {
  const row: Setting<unknown> | undefined = Object.entries<Setting<unknown>>(SCHEMA).find(
    ([one]) => one === name,
  )?.[1];
  return row?.secret ?? false;
}

/** Parses lines of NAME=value, and comments. An error quotes no value, because it may be a secret. */
function variablesIn(path: string): Variables {
  const lines = readFileSync(path, 'utf8').split('\n');
  const entries = lines.flatMap((line, i): [string, string][] => {
    if (/^\s*(?:#|$)/.test(line)) return [];
    const [, name = '', value = ''] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === '') throw new Error(`${path}: line ${i + 1} is not NAME=value`);
    return [[name, value.trim()]];
  });
  return Object.fromEntries(entries);
}

function asLines(variables: Variables): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quoted(value)}\n`)
    .join('');
}

/** Without this, systemd would remove quotes and backslashes from the value. */
function quoted(value: string): string {
  return /["'\\]/.test(value) ? `"${value.replace(/["\\$`]/g, '\\$&')}"` : value;
}

function nodesIn(path: string): string {
  const text = readFileSync(path, 'utf8');
  parseNodesFile(text, path);
  return text;
}

function keyIn(path: string): string {
  const text = readFileSync(path, 'utf8');
  if (/PRIVATE KEY/.test(text)) throw new Error(`${path}: this is a private key; name the public one`);
  if (!/^(?:ssh-|ecdsa-|sk-)\S+ \S+/.test(text)) throw new Error(`${path}: this is not an SSH public key`);
  return text;
}
