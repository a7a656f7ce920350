/**
 * The operator's own terminal, so that every key goes through and everything printed is shown as it is. Node's own raw mode
 * still changes line feeds, which programs that draw on the screen do not survive.
 */

import { execFileSync } from 'node:child_process';

/** Until the returned function is called. */
export function makeRaw(): () => void {
  const before = stty('-g').trim();
  stty('raw', '-echo');
  return () => void stty(before);
}

function stty(...words: string[]): string {
  return execFileSync('stty', words, { encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'] });
}
