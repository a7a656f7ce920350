/**
 * Builds the executable: the pinned Node with the bundle and the addon inside. The build is reproducible.
 * `executable.ts BUNDLE OUTPUT`, where BUNDLE is a directory.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';
import { NODE_FLAGS } from './node-flags.ts';

/** The marker by which Node detects embedded content. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
/** The embedded file that runs first. It must be CommonJS, and it can load the others. */
const MAIN = 'main.cjs';

const [bundle = 'build/bundle', output = 'build/ecs-host-service'] = process.argv.slice(2);

/**
 * Writes the two assets: the names and sizes of all files, and their content. At each start, Node reads all assets, which
 * then count as memory of the process, so the content is compressed.
 * @returns the digest of both
 */
function carry(work: string): string {
  const bundled = readdirSync(bundle).filter((name) => !name.endsWith('.txt'));
  const files: [string, Buffer][] = [
    ...bundled.sort().map((name): [string, Buffer] => [name, readFileSync(join(bundle, name))]),
    [MAIN, Buffer.from("import('./ecs-host-service.mjs');\n")],
  ];
  const sizes = JSON.stringify(files.map(([name, { length }]) => [name, length]));
  const content = Buffer.concat(files.map(([, bytes]) => bytes));
  writeFileSync(join(work, 'sizes'), sizes);
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  writeFileSync(join(work, 'content'), brotliCompressSync(content, { params: quality }));
  return createHash('sha256').update(sizes).update(content).digest('hex').slice(0, 32);
}

/** The content to embed: the first code that runs, and its files. */
async function makeBlob(work: string, digest: string): Promise<void> {
  await build({
    entryPoints: ['src/executable.ts'],
    outfile: join(work, 'first.cjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    define: { CARRIED: JSON.stringify(digest) },
  });
  const settings = {
    main: 'first.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    execArgv: [...NODE_FLAGS],
    // The environment must not add options to a program that runs as root.
    execArgvExtension: 'none',
    assets: { sizes: 'sizes', content: 'content' },
  };
  writeFileSync(join(work, 'settings.json'), JSON.stringify(settings));
  const words = ['--experimental-sea-config', 'settings.json'];
  execFileSync(process.execPath, words, { cwd: work, stdio: 'pipe' });
}

/** Its warnings about unknown sections are harmless. */
function inject(program: string, blob: string): void {
  const words = [program, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE];
  execFileSync('postject', words, { stdio: 'pipe' });
}

const work = mkdtempSync(join(tmpdir(), 'executable-'));
try {
  await makeBlob(work, carry(work));
  const draft = `${output}.draft`;
  copyFileSync(process.execPath, draft);
  inject(draft, join(work, 'blob'));
  chmodSync(draft, 0o755);
  renameSync(draft, output);
} finally {
  rmSync(work, { recursive: true, force: true });
}
