/**
 * Finds the lines of a source that ran, from the files that V8 wrote to NODE_V8_COVERAGE. Several processes may have
 * run the source.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Source: the Chrome DevTools Protocol, `Profiler.ScriptCoverage`. Offsets are in UTF-16 units; V8 sees blanks in place
 * of types.
 */
interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

const ROOT = join(import.meta.dirname, '../..');
/** Lines that always or never run: blanks, comments, brackets, imports and types. */
const NO_CODE = /^\s*($|\/\/|\/?\*|[\])};,]+$|import |export (type|interface) |interface |type |readonly |@)/;

export interface Lines {
  readonly file: string;
  readonly all: number;
  readonly ran: number;
  /** The numbers of the lines that did not run. */
  readonly missing: readonly number[];
}

export function linesOf(directory: string, files: readonly string[]): Lines[] {
  const scripts = readdirSync(directory).flatMap(
    (name) => JSON.parse(readFileSync(join(directory, name), 'utf8')).result as ScriptCoverage[],
  );
  return files.map((file) => {
    const url = pathToFileURL(join(ROOT, file)).href;
    return count(
      file,
      scripts.filter((script) => script.url === url),
    );
  });
}

function count(file: string, scripts: readonly ScriptCoverage[]): Lines {
  const source = readFileSync(join(ROOT, file), 'utf8');
  const runs = scripts.map((script) => ranOf(script, source.length));
  let [all, offset] = [0, 0];
  const missing: number[] = [];
  for (const [index, line] of source.split('\n').entries()) {
    const start = offset + line.search(/\S|$/);
    offset += line.length + 1;
    if (NO_CODE.test(line)) continue;
    all += 1;
    if (!runs.some((ran) => ran[start])) missing.push(index + 1);
  }
  return { file, all, ran: all - missing.length, missing };
}

/** Returns for each offset whether it ran. Inner ranges follow the ranges that contain them. */
function ranOf({ functions }: ScriptCoverage, length: number): Uint8Array {
  const ran = new Uint8Array(length);
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count: times } of ranges)
      ran.fill(times > 0 ? 1 : 0, startOffset, endOffset);
  }
  return ran;
}
