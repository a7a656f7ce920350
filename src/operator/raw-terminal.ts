/**
 * Puts the operator's terminal into raw mode, so that all keys and all output pass unchanged. Node's own raw mode still
 * converts line feeds, which breaks full-screen programs.
 */

import { execFileSync } from 'node:child_process';

/** Raw mode lasts until the returned function is called. */
export function makeRaw(): () => void {
  const before = stty('-g').trim();
  stty('raw', '-echo');
  return () => void stty(before);
}

function stty(...words: string[]): string {
  return execFileSync('stty', words, { encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'] });
}
