/** What a host with managed nodes needs, and which checks do not concern one that has nothing else. */

import { messageOf } from '../../errors/service-error.ts';
import type { Settings } from '../../settings/load.ts';
import type { Finding } from './host-checks.ts';

/** What interactive containers alone need. */
const INTERACTIVE_ALONE = [
  'seccomp profile',
  'container limits',
  'disk quotas',
  'uinput',
  'consoles',
  'front console',
  'login prompts',
  'programs',
  'network filters',
  'SysRq key',
  'Ctrl-Alt-Del',
  'udev rules',
  'ecs.service',
];

/** Those that concern this host. */
export function concerning(findings: readonly Finding[], { INTERACTIVE }: Partial<Settings>): Finding[] {
  return findings.filter(({ check }) => INTERACTIVE !== 'off' || !INTERACTIVE_ALONE.includes(check));
}

export async function findNodes({ NODES_FEED, NODES_FILE: file }: Partial<Settings>): Promise<Finding[]> {
  if (NODES_FEED !== 'file' || file === undefined) return [];
  const check = 'nodes';
  try {
    const { readNodesFile } = await import('../../managed-nodes/feeds/file-feed.ts');
    const { app, nodes } = await readNodesFile(file);
    return [{ check, grade: 'ok', found: `${file} names ${nodes.length} of the app ${app}` }];
  } catch (error) {
    return [
      {
        check,
        grade: 'error',
        found: messageOf(error),
        advice: 'mend the file; docs/nodes.md has an example',
      },
    ];
  }
}
