/** The options that describe a container, for the commands that create containers and pools. */

import { PULL_POLICIES } from '../../docker-engine/needed-images.ts';
import type { Given, OptionRow } from '../commands/row.ts';
import type { ShapeWords } from './create.ts';

export const ABOUT_SECRETS =
  'Every user of this machine can read a command line. So put secrets into FILE, for --env-from: each line is NAME=VALUE, or NAME alone, which takes its value from the environment; # begins a comment. --env takes precedence over FILE.';

export const SHAPE_OPTIONS: readonly OptionRow[] = [
  {
    flags: '--app <APP>',
    meaning: 'the app; it decides which files of its user the container gets',
    isRequired: true,
  },
  { flags: '--env <NAME=VALUE>', meaning: 'set an environment variable', isList: true },
  { flags: '--env-from <FILE>', meaning: 'set the environment variables in FILE', isList: true },
  { flags: '--label <NAME=VALUE>', meaning: 'add a label', isList: true },
  { flags: '--publish <PORT>', meaning: 'publish a port: [HOST:]PORT[/udp]', isList: true },
  {
    flags: '--mount <MOUNT>',
    meaning: 'mount a directory that ALLOWED_MOUNTS allows: /SOURCE:/TARGET[:rw]',
    isList: true,
  },
  { flags: '--cpus <N>', meaning: 'limit of processors, such as 0.5' },
  { flags: '--memory <SIZE>', meaning: 'limit of memory, such as 2GiB' },
  { flags: '--pids <N>', meaning: 'limit of processes and threads' },
  { flags: '--gpu', meaning: 'give the container a GPU' },
  { flags: '--no-console', meaning: 'create the container without a virtual console' },
  { flags: '--timeout <SECONDS>', meaning: "the protocol's timeout; -1: no limit", isSigned: true },
  {
    flags: '--idle-timeout <SECONDS>',
    meaning: 'end the container after it has been idle for this time; 0: no limit',
  },
  {
    flags: '--pull <POLICY>',
    meaning: 'missing (the default): pull an image that is not on this host; always; never',
    values: PULL_POLICIES,
  },
];

/** @returns undefined if the image or the app is missing */
export function shapeWordsOf(given: Given, image: string | undefined): ShapeWords | undefined {
  const app = given.text('app');
  if (!image || !app) return undefined;
  return {
    image,
    app,
    pull: given.text('pull'),
    env: given.texts('env'),
    envFile: given.texts('env-from'),
    label: given.texts('label'),
    publish: given.texts('publish'),
    mount: given.texts('mount'),
    cpus: given.text('cpus'),
    memory: given.text('memory'),
    pids: given.text('pids'),
    timeout: given.text('timeout'),
    idleTimeout: given.text('idle-timeout'),
    gpu: given.flag('gpu'),
    hasConsole: given.flag('console'),
  };
}
