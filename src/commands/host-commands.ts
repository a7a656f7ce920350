/** The commands that need no running service. */

import { SHELLS, type Shell } from './completion.ts';
import type { CommandRow, Given } from './row.ts';

export type HostCommand =
  | { readonly name: 'run' }
  | { readonly name: 'wait' }
  | { readonly name: 'version' }
  | { readonly name: 'help' }
  | { readonly name: 'completion'; readonly shell: Shell }
  | { readonly name: 'doctor --leaks' }
  | { readonly name: 'doctor'; readonly isHostAlone: boolean; readonly isJson: boolean }
  | { readonly name: 'settings'; readonly isJson: boolean }
  | { readonly name: 'upgrade'; readonly isRollback: boolean }
  | { readonly name: 'bury'; readonly waitUnit: string | undefined }
  | { readonly name: 'configs list'; readonly user: string; readonly app: string }
  | {
      readonly name: 'configs restore';
      readonly user: string;
      readonly app: string;
      readonly version: string;
    };

export const HOST_COMMANDS: readonly CommandRow<HostCommand>[] = [
  {
    name: 'run',
    summary: 'host containers until the service is asked to stop (the default)',
    example: 'run',
    read: () => ({ name: 'run' }),
  },
  {
    name: 'bury',
    summary: 'clean up after a crash: report it, and remove unassigned containers',
    options: [{ flags: '--wait-unit <UNIT>', meaning: 'a systemd unit that hosts the containers in use' }],
    example: 'bury --wait-unit ecs-host-service-wait.service',
    read: (given) => {
      const waitUnit = given.text('wait-unit');
      return waitUnit === '' ? undefined : { name: 'bury', waitUnit };
    },
  },
  {
    name: 'wait',
    summary: 'host the containers that a dead service left in use until they have ended',
    example: 'wait',
    read: () => ({ name: 'wait' }),
  },
  {
    name: 'upgrade',
    summary: 'change to the installed version while containers keep running',
    more: 'Restarts the installed service, which hands its host over to the new one. If the new one does not start, the previous version is restored and takes the host over.',
    options: [{ flags: '--rollback', meaning: 'change back to the previous version' }],
    example: 'upgrade',
    read: (given) => ({ name: 'upgrade', isRollback: given.flag('rollback') }),
  },
  {
    name: 'doctor',
    summary: 'check this host, its settings and its ECS agent, and say how to fix what is wrong',
    options: [
      { flags: '--host', meaning: 'check the host only' },
      { flags: '--json', meaning: 'print JSON' },
      {
        flags: '--leaks',
        meaning: 'compare the ledger with Docker and the kernel instead; list the differences',
      },
    ],
    example: 'doctor --host',
    read: doctorOf,
  },
  {
    name: 'settings',
    summary: 'list every setting with its value, where the value comes from, and its meaning',
    options: [{ flags: '--json', meaning: 'print JSON' }],
    example: 'settings --json',
    read: (given) => ({ name: 'settings', isJson: given.flag('json') }),
  },
  {
    name: 'configs list',
    words: '<USER> <APP>',
    summary: "list the stored versions of a user's files of an app",
    example: 'configs list user@example.com browsers/chrome',
    read: ({ words: [user, app] }) => (user && app ? { name: 'configs list', user, app } : undefined),
  },
  {
    name: 'configs restore',
    words: '<USER> <APP> <VERSION>',
    summary: "choose the version with which the user's next container starts",
    example: 'configs restore user@example.com browsers/chrome VERSION',
    read: ({ words: [user, app, version] }) =>
      user && app && version ? { name: 'configs restore', user, app, version } : undefined,
  },
  {
    name: 'completion',
    words: '<SHELL>',
    summary: 'print a script that completes these commands in bash or zsh',
    values: SHELLS,
    example: 'completion bash > /usr/share/bash-completion/completions/ecs-host-service',
    read: ({ words: [name] }) => {
      const shell = SHELLS.find((one) => one === name);
      return shell && { name: 'completion', shell };
    },
  },
  {
    name: 'version',
    summary: 'print the version',
    example: 'version',
    read: () => ({ name: 'version' }),
  },
  {
    name: 'help',
    summary: 'list the commands',
    example: 'help',
    read: () => ({ name: 'help' }),
  },
];

function doctorOf(given: Given): HostCommand | undefined {
  const [isHostAlone, isJson] = [given.flag('host'), given.flag('json')];
  if (!given.flag('leaks')) return { name: 'doctor', isHostAlone, isJson };
  return isHostAlone || isJson ? undefined : { name: 'doctor --leaks' };
}
