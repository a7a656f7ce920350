/** The rows of all commands. */

import type { CommandRow, OptionRow } from './row.ts';

export const COMMON: readonly OptionRow[] = [
  { flags: '-c, --config <FILE>', meaning: 'the configuration; the default is ecs-release.yaml' },
  { flags: '-s, --stage <STAGE>', meaning: 'the stage; the default is ECS_RELEASE_STAGE' },
  { flags: '--set <NAME=VALUE>', meaning: 'a value for {NAME} in the configuration', isList: true },
  { flags: '--json', meaning: 'print JSON' },
];

const DRY_RUN: OptionRow = { flags: '--dry-run', meaning: 'change nothing; print what would change' };
const LOCAL: OptionRow = {
  flags: '--local',
  meaning: 'use Docker even for images that have "remote"',
};
const LOCK_TIMEOUT: OptionRow = {
  flags: '--lock-timeout <TIME>',
  meaning: 'how long to wait for the lock, such as 10m, or 0; the default is release.timeout',
};
const HOLD: OptionRow = { flags: '--hold <REASON>', meaning: 'let no release begin until "unlock"' };
const FORCE: OptionRow = {
  flags: '--force-new-deployment',
  meaning: 'replace the tasks of all services, even if nothing in their task definitions changed',
};
const FORCE_ONE: OptionRow = {
  flags: '--force <SERVICE>',
  meaning: 'replace the tasks of this service even if nothing changed; can be repeated',
  isList: true,
};
const SKIP_TASKS: OptionRow = { flags: '--skip-tasks', meaning: 'skip the tasks before and after' };

const WHERE: readonly OptionRow[] = [
  { flags: '--service <SERVICE>', meaning: 'a service of the configuration, or of the cluster' },
  { flags: '--family <FAMILY>', meaning: 'tasks of this task definition family' },
  { flags: '--task <ID>', meaning: 'one task, by its id; the first four characters are enough' },
  { flags: '--container <NAME>', meaning: 'one container' },
];

export const ROWS: readonly CommandRow[] = [
  {
    name: 'plan',
    summary: 'print what a deploy would change; it changes nothing',
    options: [FORCE, FORCE_ONE, SKIP_TASKS],
    example: 'plan --stage staging',
    load: async () => (await import('./releasing.ts')).plan,
  },
  {
    name: 'deploy',
    summary:
      'release the images of this commit to tasks, services and scheduled tasks, completely or not at all',
    options: [DRY_RUN, FORCE, FORCE_ONE, SKIP_TASKS, LOCK_TIMEOUT],
    example: 'deploy --stage production',
    load: async () => (await import('./releasing.ts')).deploy,
  },
  {
    name: 'rollback',
    summary: 'roll back to what the stage ran before',
    options: [
      {
        flags: '--to <RELEASE>',
        meaning: 'roll back to this release; the default is the previous one',
      },
      DRY_RUN,
      LOCK_TIMEOUT,
    ],
    example: 'rollback --stage production',
    load: async () => (await import('./releasing.ts')).rollback,
  },
  {
    name: 'status',
    summary: 'print what the stage runs, and who has its lock',
    example: 'status --stage production',
    load: async () => (await import('./record-commands.ts')).status,
  },
  {
    name: 'history',
    summary: 'print the releases of the stage, newest first',
    options: [{ flags: '--limit <N>', meaning: 'the number of releases; the default is 20' }],
    example: 'history --stage production --limit 5',
    load: async () => (await import('./record-commands.ts')).history,
  },
  {
    name: 'wait',
    summary: 'wait until all services are stable and no old tasks are left',
    options: [
      { flags: '--timeout <TIME>', meaning: 'how long to wait, such as 10m; the default is release.timeout' },
    ],
    example: 'wait --stage staging --timeout 10m',
    load: async () => (await import('./record-commands.ts')).wait,
  },
  {
    name: 'schedules',
    summary: 'print the scheduled tasks with their schedules, counts and revisions',
    example: 'schedules --stage production',
    load: async () => (await import('./record-commands.ts')).schedules,
  },
  {
    name: 'tasks',
    summary: 'print the running tasks with their containers, and those that stopped within the last hour',
    options: [
      { flags: '--service <SERVICE>', meaning: 'tasks of a service' },
      { flags: '--family <FAMILY>', meaning: 'tasks of this task definition family' },
    ],
    example: 'tasks --stage production --service portal',
    load: async () => (await import('./task-commands.ts')).tasks,
  },
  {
    name: 'scale',
    words: '<SERVICE> <COUNT>',
    summary: 'change the number of tasks of a service, and wait until they are running',
    options: [DRY_RUN, LOCK_TIMEOUT],
    example: 'scale worker 4 --stage production',
    load: async () => (await import('./releasing.ts')).scale,
  },
  {
    name: 'set',
    words: '<NAME=VALUE...>',
    summary:
      'set environment variables in the task definitions of services and scheduled tasks, as a release; NAME= removes one',
    options: [
      {
        flags: '--only <NAME>',
        meaning: 'only this service or scheduled task; can be repeated',
        isList: true,
      },
      DRY_RUN,
      LOCK_TIMEOUT,
    ],
    example: 'set LOG_LEVEL=debug --only worker --stage staging',
    load: async () => (await import('./releasing.ts')).set,
  },
  {
    name: 'exec',
    words: '[COMMAND...]',
    summary: 'run a command or a shell in a container, and exit with its exit code',
    options: [
      ...WHERE,
      { flags: '--no-tty', meaning: 'use pipes, even on a terminal' },
      { flags: '--no-shell', meaning: 'for an image without sh; the exit code is then unknown' },
      DRY_RUN,
    ],
    passesOn: true,
    example: 'exec --stage production --service portal --container app -- bin/report --today',
    load: async () => (await import('./session-commands.ts')).exec,
  },
  {
    name: 'forward',
    words: '<PORT>',
    summary: 'forward a local port to a port of a container, until Ctrl-C',
    options: [
      ...WHERE,
      { flags: '--local-port <PORT>', meaning: 'the local port; the default is any free one' },
      DRY_RUN,
    ],
    example: 'forward 8000 --stage staging --service portal --local-port 8080',
    load: async () => (await import('./session-commands.ts')).forward,
  },
  {
    name: 'logs',
    summary: 'print the logs of tasks',
    options: [
      ...WHERE,
      { flags: '-f, --follow', meaning: 'continue with new lines, until Ctrl-C' },
      { flags: '--since <TIME>', meaning: 'only lines of this last period, such as 10m' },
    ],
    example: 'logs --follow --stage production --service portal',
    load: async () => (await import('./task-commands.ts')).logs,
  },
  {
    name: 'run',
    words: '<TASK> [COMMAND...]',
    summary:
      'run a task of the configuration, or of a family, once; print its logs, and exit with its exit code',
    options: [
      { flags: '--service <SERVICE>', meaning: 'run it where the tasks of this service run' },
      {
        flags: '--container <NAME>',
        meaning: 'the container that gets the command and sets the exit code',
      },
      DRY_RUN,
    ],
    example: 'run migrate --stage staging --service portal -- python manage.py migrate --plan',
    load: async () => (await import('./task-commands.ts')).run,
  },
  {
    name: 'lock',
    summary: 'print who has the lock of the stage; with --hold, take it for a person',
    options: [HOLD, DRY_RUN, LOCK_TIMEOUT],
    example: 'lock --hold "the database is moved" --stage production',
    load: async () => (await import('./record-commands.ts')).lock,
  },
  {
    name: 'unlock',
    summary: 'remove a hold, or take the lock from a process that no longer runs or that you want to stop',
    options: [
      { flags: '--now', meaning: 'do not wait for its process, which certainly no longer runs' },
      { flags: '--forget', meaning: 'keep what its release changed instead of rolling it back' },
      DRY_RUN,
    ],
    example: 'unlock --stage production',
    load: async () => (await import('./record-commands.ts')).unlock,
  },
  {
    name: 'render',
    words: '<NAME>',
    summary: 'print the task definition that a release would use for a service, a family or a task',
    example: 'render portal --stage staging',
    load: async () => (await import('./definitions.ts')).render,
  },
  {
    name: 'describe',
    words: '<NAME>',
    summary: 'print the task definition of a service, a one-off task, a family, or a family:revision',
    example: 'describe managr-app-task-demo --stage staging',
    load: async () => (await import('./definitions.ts')).describe,
  },
  {
    name: 'environment',
    words: '<ACTION>',
    summary:
      'up: create the services of a stage that copies another one, and deploy; down: remove them; list: print all copies',
    options: [DRY_RUN, LOCK_TIMEOUT],
    example: 'environment up --stage pr --set pr=12',
    load: async () => (await import('./environment.ts')).environment,
  },
  {
    name: 'login',
    summary: "log Docker in to the account's registry",
    options: [DRY_RUN],
    example: 'login --stage staging',
    load: async () => (await import('./image-commands.ts')).login,
  },
  {
    name: 'build',
    words: '[IMAGE...]',
    summary: 'build all images, or the named ones, with Docker or in CodeBuild; pull those that are mirrored',
    options: [
      LOCAL,
      { flags: '--no-cache', meaning: 'with Docker: build without the cache' },
      { flags: '--source <REF>', meaning: 'in CodeBuild: the branch, tag or commit to build' },
      {
        flags: '--override <NAME=VALUE>',
        meaning: 'in CodeBuild: a variable of the build; can be repeated',
        isList: true,
      },
      DRY_RUN,
    ],
    example: 'build server --stage staging',
    load: async () => (await import('./image-commands.ts')).build,
  },
  {
    name: 'push',
    words: '[IMAGE...]',
    summary: "push images with the stage's tags, and print their digests",
    options: [LOCAL, DRY_RUN],
    example: 'push --stage staging',
    load: async () => (await import('./image-commands.ts')).push,
  },
  {
    name: 'images',
    words: '<ACTION> <IMAGE> [WORDS...]',
    summary:
      'list IMAGE, manifest IMAGE DIGEST|TAG, tag IMAGE DIGEST|TAG NEW_TAG, untag IMAGE TAG, back IMAGE TAG to the image before, or watch IMAGE TAG until it changes',
    options: [
      { flags: '--limit <N>', meaning: 'the number of images to list; the default is 10' },
      { flags: '--poll <TIME>', meaning: 'time between checks of watch; the default is 30s' },
      DRY_RUN,
    ],
    example: 'images tag portal sha256:0123… latest --stage production',
    load: async () => (await import('./images.ts')).images,
  },
  {
    name: 'verify',
    summary:
      'check everything that a release depends on: account, rights, images, secrets, roles, triggers, target groups',
    example: 'verify --stage production',
    load: async () => (await import('./checks.ts')).verify,
  },
  {
    name: 'doctor',
    words: '[ERROR...]',
    summary: 'explain an error; without one, print what is wrong with the stage',
    example: 'doctor "Could not resolve entrypoint!"',
    load: async () => (await import('./checks.ts')).doctor,
  },
  {
    name: 'init',
    summary: 'write a configuration for what runs in a cluster',
    options: [
      { flags: '--cluster <CLUSTER>', meaning: 'the cluster' },
      { flags: '--region <REGION>', meaning: 'the region; the default is AWS_REGION' },
      DRY_RUN,
    ],
    example: 'init --cluster managr-cluster --region us-east-1 --stage staging',
    load: async () => (await import('./init.ts')).init,
  },
];
