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
  bury [--wait-unit UNIT]            clean up after a crash: report it, and remove unassigned containers;
                                     UNIT then hosts the containers that are in use
  wait                               host the containers that a dead service left in use until they have ended
  doctor [--host] [--json]           check this host, its settings and its ECS agent; --host: the host only
  doctor --leaks                     compare the ledger with Docker and the kernel, and list the differences
  settings [--json]                  list every setting with its value, where the value comes from, and its meaning
  configs list USER APP              list the stored versions of a user's files of an app
  configs restore USER APP VERSION   choose the version with which the user's next container starts
${OPERATOR_USAGE}  version                            print the version
  help                               print this help

Settings come from the environment. Without APP_ENV in it, the settings of the installed service are used.
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
