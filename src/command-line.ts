/** What the command line asks for. */

import {
  isOperators,
  OPERATOR_OPTIONS,
  OPERATOR_USAGE,
  type OperatorCommand,
  parseOperatorCommand,
} from './operator/command-line.ts';

export const USAGE = `Usage: ecs-host-service [command]

  run                                host containers until told to stop (the default)
  bury [--wait-unit UNIT]            after a death: report it, remove what nobody uses; UNIT waits for the rest
  wait                               until the containers that a dead service left in use have ended
  doctor [--host] [--json]           say what this host, its settings and its ECS agent lack; --host: the host alone
  doctor --leaks                     look for what ledger, Docker and kernel do not agree about
  settings [--json]                  list every setting with its value, who gave it, and what it means
  configs list USER APP              show what is stored of a user's files of one app
  configs restore USER APP VERSION   let the user's next container begin with that version
${OPERATOR_USAGE}  version                            print the version
  help                               print this

Settings come from the environment; without APP_ENV in it, those of the installed service are read.
${OPERATOR_OPTIONS}`;

export type Command =
  | OperatorCommand
  | { readonly name: 'run' }
  | { readonly name: 'wait' }
  | { readonly name: 'version' }
  | { readonly name: 'help' }
  | { readonly name: 'doctor --leaks' }
  | { readonly name: 'doctor'; readonly isHostAlone: boolean; readonly isJson: boolean }
  | { readonly name: 'settings'; readonly isJson: boolean }
  | { readonly name: 'bury'; readonly waitUnit: string | undefined }
  | { readonly name: 'configs list'; readonly user: string; readonly app: string }
  | {
      readonly name: 'configs restore';
      readonly user: string;
      readonly app: string;
      readonly version: string;
    };

const OTHER_NAMES = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
]);

/** @param words what stands behind the program's name. @returns undefined when they make no sense */
export function parseCommandLine(words: readonly string[]): Command | undefined {
  const [command = 'run', ...rest] = words;
  if (isOperators(command)) return parseOperatorCommand(command, rest);
  if (command === 'configs') return parseConfigs(rest);
  if (command === 'bury') return parseBury(rest);
  if (command === 'doctor') return parseDoctor(rest);
  if (command === 'settings') return parseSettings(rest);
  const name = OTHER_NAMES.get(command) ?? command;
  if (rest.length > 0) return undefined;
  return isPlain(name) ? { name } : undefined;
}

function isPlain(name: string): name is 'run' | 'wait' | 'version' | 'help' {
  return ['run', 'wait', 'version', 'help'].includes(name);
}

function parseDoctor(words: readonly string[]): Command | undefined {
  if (words.join(' ') === '--leaks') return { name: 'doctor --leaks' };
  const options = new Set(words);
  const [isHostAlone, isJson] = [options.delete('--host'), options.delete('--json')];
  return options.size === 0 ? { name: 'doctor', isHostAlone, isJson } : undefined;
}

function parseSettings(words: readonly string[]): Command | undefined {
  const isJson = words[0] === '--json';
  return words.length === Number(isJson) ? { name: 'settings', isJson } : undefined;
}

function parseBury([option, waitUnit, ...rest]: readonly string[]): Command | undefined {
  const isSound = option === undefined || (option === '--wait-unit' && waitUnit && rest.length === 0);
  return isSound ? { name: 'bury', waitUnit } : undefined;
}

function parseConfigs([verb, user, app, version, ...rest]: readonly string[]): Command | undefined {
  if (!user || !app || rest.length > 0) return undefined;
  if (verb === 'list' && version === undefined) return { name: 'configs list', user, app };
  if (verb === 'restore' && version) return { name: 'configs restore', user, app, version };
  return undefined;
}
