/** Creates a tree like a browser's profile: 12,000 small files and ten large ones. Half of the data is compressible. */

import { createHash, randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const DIRECTORIES = 120;
const FILES_IN_EACH = 100;
const LARGE = 10;
const PARTS = 26;
const USER = 1000;

const words = Buffer.from(
  Array.from({ length: 12_000 }, (_, i) => {
    const digest = createHash('sha256').update(String(i)).digest('hex');
    return `{"id":${i},"url":"https://example.org/${digest}","title":"A page"}`;
  }).join('\n'),
);

/** The paths of the small files below `root`. */
export function smallFiles(root: string): string[] {
  return Array.from({ length: DIRECTORIES * FILES_IN_EACH }, (_, i) =>
    join(root, `directory${Math.floor(i / FILES_IN_EACH)}`, `file${i % FILES_IN_EACH}`),
  );
}

export function makeProfile(root: string): void {
  for (const [number, path] of smallFiles(root).entries()) {
    if (number % FILES_IN_EACH === 0) makeDirectory(dirname(path));
    write(path, smallContent(number));
  }
  for (let i = 0; i < LARGE; i++) {
    const parts = Array.from({ length: PARTS }, (_, part) =>
      part % 2 ? randomBytes(2 ** 20) : words.subarray(part * 1000, part * 1000 + 2 ** 20),
    );
    write(join(root, `large${i}`), Buffer.concat(parts));
  }
}

/** 2 to 38 KB; every second file is random data. */
export function smallContent(number: number): Buffer {
  const size = 2000 + ((number * 7919) % 36_000);
  const from = (number * 131) % 900_000;
  return number % 2 ? randomBytes(size) : words.subarray(from, from + size);
}

function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true });
  chownSync(path, USER, USER);
}

function write(path: string, content: Buffer): void {
  writeFileSync(path, content);
  chownSync(path, USER, USER);
}
