/**
 * Sends inputs that are almost well-formed to every part that reads bytes from outside: `fuzz.ts INPUTS [TARGET …]`. No
 * input may crash a process, cause an internal error as the answer, or leave anything behind. Each target runs in a
 * separate process, one after the other. The lines of the parsers that ran are counted. The exit code is 1 if a target
 * fails.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { messageOf } from '../../errors/service-error.ts';
import { SEED } from '../support/seed.ts';
import { linesOf } from './coverage.ts';
import type { Target } from './target.ts';

const TARGETS = readdirSync(join(import.meta.dirname, 'targets')).map((file) => basename(file, '.ts'));
const [inputs = '', ...named] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(inputs)) throw new Error('usage: fuzz.ts INPUTS [TARGET …]');
const unknown = named.find((name) => !TARGETS.includes(name));
if (unknown) throw new Error(`there is no target ${unknown}; targets: ${TARGETS.join(', ')}`);

function run(name: string, count: number, coverage: string): string {
  const words = ['--expose-gc', join(import.meta.dirname, 'run-target.ts'), name, String(count)];
  const { status, signal, stdout } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
    env: { ...process.env, SEED: String(SEED), NODE_V8_COVERAGE: coverage },
  });
  if (status !== 0) throw new Error(`ended with ${signal ?? status}\n${stdout}`);
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}

console.log(`seed ${SEED}`);
const names = named.length > 0 ? named : TARGETS;
const targets = await Promise.all(
  names.map(async (name) => {
    const { target }: { target: Target<unknown> } = await import(
      join(import.meta.dirname, `targets/${name}.ts`)
    );
    return { name, share: target.share };
  }),
);
const shares = targets.reduce((sum, { share }) => sum + share, 0);
let total = 0;
for (const { name, share } of targets) {
  const coverage = mkdtempSync(join(tmpdir(), 'fuzz-coverage-'));
  try {
    const outcome = JSON.parse(run(name, Math.ceil((Number(inputs) * share) / shares), coverage));
    total += outcome.inputs;
    console.log(`${name}: ${outcome.inputs} inputs, nothing crashed, leaked or grew`);
    for (const { file, all, ran, missing } of linesOf(coverage, outcome.parsers)) {
      const left =
        missing.length > 0
          ? `  not run: ${missing.slice(0, 12).join(', ')}${missing.length > 12 ? ' …' : ''}`
          : '';
      console.log(`  ${`${Math.floor((100 * ran) / all)} %`.padStart(5)}  ${file}${left}`);
    }
  } catch (error) {
    console.log(`${name} failed: ${messageOf(error)}`);
    console.log(`to repeat it: make fuzz ONLY=${name} INPUTS=${inputs} SEED=${SEED}`);
    process.exitCode = 1;
  } finally {
    rmSync(coverage, { recursive: true });
  }
}
console.log(`${total} inputs${process.exitCode ? ', and a target failed' : ', and every target held'}`);
