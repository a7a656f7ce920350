/** Makes a program of this package one executable: Node, and the program in it. The same sources give the same bytes. */

import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

/** The marker by which Node detects embedded content. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** @param entry in src/ */
export async function makeExecutable(entry: string, output: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'ecs-executable-'));
  try {
    await build({
      entryPoints: [join(import.meta.dirname, '../src', entry)],
      outfile: join(work, 'main.cjs'),
      ...{ bundle: true, platform: 'node', target: 'node24', format: 'cjs', minify: true },
      // The package has no side effects, but its programs have.
      ignoreAnnotations: true,
      logLevel: 'error',
    });
    const settings = {
      ...{ main: 'main.cjs', output: 'blob', disableExperimentalSEAWarning: true },
      execArgv: ['--no-warnings'],
      // NODE_OPTIONS is meant for other programs.
      execArgvExtension: 'none',
    };
    writeFileSync(join(work, 'settings.json'), JSON.stringify(settings));
    const sea = ['--experimental-sea-config', 'settings.json'];
    execFileSync(process.execPath, sea, { cwd: work, stdio: 'pipe' });
    const draft = `${output}.draft`;
    copyFileSync(process.execPath, draft);
    const blob = [draft, 'NODE_SEA_BLOB', join(work, 'blob'), '--sentinel-fuse', FUSE];
    execFileSync('postject', blob, { stdio: 'pipe' });
    chmodSync(draft, 0o755);
    renameSync(draft, output);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
