/**
 * Where a command prints words that a container chose. A terminal obeys control characters: with them it can be made to
 * hide text, to change its title or clipboard, or to type. So on a terminal they are signs; into a file or a pipe
 * everything goes as it is.
 */

import { promisify } from 'node:util';

export interface Output {
  /** Resolves when it was taken. */
  write(text: string): Promise<void>;
}

/** Writes everything as it is. What it resolves or rejects with is what became of the text. */
export function writerTo(stream: NodeJS.WriteStream): (text: string) => Promise<void> {
  // What it is told of is an answer of the write.
  stream.on('error', () => {});
  return promisify((text: string, done: (error?: Error | null) => void) => void stream.write(text, done));
}

export function outputOf(stream: NodeJS.WriteStream): Output {
  const write = writerTo(stream);
  return { write: (text) => write(stream.isTTY ? harmless(text) : text) };
}

/** Control characters but for tabs and ends of lines become signs: ␛ for escape, U+FFFD for those above ASCII. */
export function harmless(text: string): string {
  return text.replace(/\r(?=\n)/g, '').replace(/(?![\t\n])\p{Cc}/gu, (one) => {
    const code = one.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}
