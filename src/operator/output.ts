/**
 * Prints text that a container controls. Control characters could make a terminal hide text, change its title or
 * clipboard, or simulate input. So on a terminal, they are replaced by visible signs. In files and pipes, the text
 * stays unchanged.
 */

import { promisify } from 'node:util';

export interface Output {
  /** Resolves when the text was accepted. */
  write(text: string): Promise<void>;
}

/** Writes text unchanged. The promise resolves or rejects with the result of the write. */
export function writerTo(stream: NodeJS.WriteStream): (text: string) => Promise<void> {
  // Each write reports its own error.
  stream.on('error', () => {});
  return promisify((text: string, done: (error?: Error | null) => void) => void stream.write(text, done));
}

export function outputOf(stream: NodeJS.WriteStream): Output {
  const write = writerTo(stream);
  return { write: (text) => write(stream.isTTY ? harmless(text) : text) };
}

/** Replaces control characters except tabs and line ends: ␛ for escape, U+FFFD for those above ASCII. */
export function harmless(text: string): string {
  return text.replace(/\r(?=\n)/g, '').replace(/(?![\t\n])\p{Cc}/gu, (one) => {
    const code = one.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}
