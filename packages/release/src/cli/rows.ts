/** The commands. */

import type { CommandRow, OptionRow } from './row.ts';

export const COMMON: readonly OptionRow[] = [
  { flags: '-c, --config <FILE>', meaning: 'the configuration; the default is ecs-release.yaml' },
  { flags: '-s, --stage <STAGE>', meaning: 'the stage; the default is ECS_RELEASE_STAGE' },
  { flags: '--set <NAME=VALUE>', meaning: 'a value for {NAME} in the configuration', isList: true },
  { flags: '--json', meaning: 'print JSON' },
];

export const ROWS: readonly CommandRow[] = [
  {
    name: 'render',
    words: '<NAME>',
    summary: 'print the task definition that a release would register for a service',
    example: 'render portal --stage staging',
    load: async () => (await import('./definitions.ts')).render,
  },
  {
    name: 'describe',
    words: '<NAME>',
    summary: 'print the task definition of a service, a family, or a family:revision',
    example: 'describe managr-app-task-demo --stage staging',
    load: async () => (await import('./definitions.ts')).describe,
  },
];
