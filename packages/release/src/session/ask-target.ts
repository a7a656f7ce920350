/** Lets the user choose a container. */

import { createInterface } from 'node:readline/promises';
import { ambiguityError, type Choice, listTargets, type Target } from './choose-target.ts';
import type { TerminalInput } from './terminal.ts';

/**
 * Resolves with the only target, or asks on a terminal.
 * @throws SessionError when there is no terminal to ask on
 */
export async function settleChoice(
  choice: Choice,
  { stdin, stderr }: { readonly stdin: TerminalInput; readonly stderr: NodeJS.WritableStream },
  signal: AbortSignal,
): Promise<Target> {
  if (choice.kind === 'one') return choice.target;
  const { targets } = choice;
  if (!stdin.isTTY) throw ambiguityError(targets);
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    stderr.write(`Several containers match:\n${listTargets(targets)}\n`);
    for (;;) {
      const answer = await lines.question(`Which one (1 to ${targets.length})? `, { signal });
      const target = /^\d+$/.test(answer.trim()) ? targets[Number(answer) - 1] : undefined;
      if (target) return target;
    }
  } finally {
    lines.close();
  }
}
