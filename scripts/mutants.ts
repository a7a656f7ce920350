/**
 * Finds untested behaviour in the parts that must not fail. It changes their code in small ways, one at a time, and
 * runs their unit tests against each change. A mutant is such a change; it survives if no test fails: `mutants.ts [PART
 * …]`. The exit code is 1 if a mutant survives that is not in equivalent-mutants.json. That file says for each of its
 * mutants why no test can notice it.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Part {
  readonly files: readonly string[];
  readonly tests: readonly string[];
}

const PARTS: Readonly<Record<string, Part>> = {
  lifetime: {
    files: ['lifetime/lifetime.ts', 'lifetime/holdings.ts', 'lifetime/deadline.ts'],
    tests: ['lifetime', 'holdings', 'deadline'],
  },
  ledger: { files: ['lifetime/ledger.ts'], tests: ['ledger'] },
  pools: { files: ['lifetime/pool.ts'], tests: ['pool'] },
  'amend-create-body': { files: ['container/creation/amend-create-body.ts'], tests: ['create-body'] },
  'set-up': { files: ['container/set-up.ts'], tests: ['set-up', 'start-values'] },
  age: {
    files: ['user-configs/age.ts', 'user-configs/age-header.ts', 'user-configs/age-cipher.ts'],
    tests: ['age'],
  },
  uploads: { files: ['user-configs/uploads.ts'], tests: ['uploads'] },
};

interface Mutant {
  readonly status: string;
  readonly mutatorName: string;
  readonly replacement?: string;
  readonly location: { readonly start: Place; readonly end: Place };
}

/** Lines and columns count from 1. */
interface Place {
  readonly line: number;
  readonly column: number;
}

interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>;
}

const ROOT = join(import.meta.dirname, '..');
const STRYKER = join(ROOT, 'tools/stryker/node_modules/.bin/stryker');
/** By file: the code, its replacement, and why both behave in the same way. */
const EQUIVALENT: Readonly<Record<string, readonly (readonly [string, string, string])[]>> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'equivalent-mutants.json'), 'utf8'),
);

function mutate({ files, tests }: Part): Report {
  const work = mkdtempSync(join(tmpdir(), 'mutants-'));
  try {
    const report = join(work, 'report.json');
    // Build results are linked instead of copied.
    const links = ['build', 'tools'].map((name) => `ln -sfn ${join(ROOT, name)} ${name}`).join('; ');
    // Each file runs in one process, and the run ends with the first test that fails. Nothing is compiled twice. Tests
    // that are cut off leave their directories in `work`.
    const environment = `NODE_COMPILE_CACHE=${join(work, 'compiled')} TMPDIR=${work}`;
    const node = `${environment} ${process.execPath} --test-reporter=./scripts/first-failure.ts`;
    const runs = tests.map((name) => `${node} test/unit/${name}.test.ts`).join(' && ');
    const settings = {
      testRunner: 'command',
      commandRunner: { command: `${links}; ${runs}` },
      mutate: files,
      reporters: ['json', 'progress-append-only'],
      jsonReporter: { fileName: report },
      coverageAnalysis: 'off',
      concurrency: 2,
      // Added to the duration of the tests without a change. With less, slow tests would count as hanging on a busy
      // machine.
      timeoutMS: 30_000,
      tempDirName: join(work, 'copies'),
      ignorePatterns: ['build', 'tools', 'docs', 'packages/*/dist'],
      // This file does not exist, so nothing checks types in this run.
      tsconfigFile: 'none.json',
    };
    writeFileSync(join(work, 'settings.json'), JSON.stringify(settings));
    const words = [STRYKER, 'run', join(work, 'settings.json'), '--logLevel', 'warn'];
    const { status } = spawnSync(process.execPath, words, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (status !== 0) throw new Error('Stryker failed; see above');
    return JSON.parse(readFileSync(report, 'utf8'));
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Returns the text on one line. */
function textAt(source: string, { start, end }: Mutant['location']): string {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  const cut = lines.length - 1;
  lines[cut] = (lines[cut] ?? '').slice(0, end.column - 1);
  lines[0] = (lines[0] ?? '').slice(start.column - 1);
  return lines.map((line) => line.trim()).join(' ');
}

const named = process.argv.slice(2);
const unknown = named.find((name) => !(name in PARTS));
if (unknown) throw new Error(`there is no part ${unknown}; parts: ${Object.keys(PARTS).join(', ')}`);

for (const [name, part] of Object.entries(PARTS)) {
  if (named.length > 0 && !named.includes(name)) continue;
  for (const [file, { source, mutants }] of Object.entries(mutate(part).files)) {
    const survivors = mutants.filter(({ status }) => status === 'Survived' || status === 'NoCoverage');
    const isEquivalent = (mutant: Mutant) =>
      (EQUIVALENT[file] ?? []).some(
        ([code, other]) => code === textAt(source, mutant.location) && other === mutant.replacement,
      );
    const left = survivors.filter((mutant) => !isEquivalent(mutant));
    const hanging = mutants.filter(({ status }) => status === 'Timeout');
    console.log(
      `${file}: ${mutants.length} mutants, ${hanging.length} hang, ${survivors.length - left.length} equivalent, ${left.length} survive`,
    );
    for (const mutant of left) {
      console.log(
        `  ${file}:${mutant.location.start.line}  ${textAt(source, mutant.location)}  →  ${mutant.replacement ?? mutant.mutatorName}`,
      );
    }
    if (left.length > 0) process.exitCode = 1;
  }
}
