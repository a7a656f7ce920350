/** The settings of managed nodes. */

import { absolutePath, oneOf } from './parsers.ts';
import { type Known, optional, type Setting, setting } from './setting.ts';

export const INTERACTIVE = setting(
  'Whether this host has interactive containers: on, or off, which leaves managed nodes alone. With off, the service uses no consoles, input devices or ECS agent, keeps no user configs, and needs neither WEBSERVER_AUTH_SECRET nor WEBSERVER_URL.',
  'on',
  oneOf('on', 'off'),
);

export const NODE_SETTINGS = {
  NODES_FEED: setting(
    'Where the service learns which managed nodes this host has: none, or file (NODES_FILE).',
    'none',
    oneOf('none', 'file'),
  ),
  NODES_FILE: {
    ...optional(
      'YAML file with the managed nodes, for NODES_FEED=file. Only root may write to it. The service reads it again when it changes.',
      absolutePath,
    ),
    neededBy: ({ NODES_FEED }: Known) => (NODES_FEED === 'file' ? 'NODES_FEED is file' : undefined),
  } satisfies Setting<string>,
  NODES_ON_STOP: setting(
    'What becomes of managed nodes when the service is asked to stop: leave (they keep running) or stop (each gets SIGTERM, and SIGKILL after 30 seconds).',
    'leave',
    oneOf('leave', 'stop'),
  ),
} as const;
