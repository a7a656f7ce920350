/**
 * Builds the packages in `packages/`, packs each as npm would publish it, and rehearses the publication: `packages.ts
 * OUTPUT`. The rehearsal needs no registry, so it cannot tell whether a version has already been published.
 */

import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

interface Manifest {
  readonly name: string;
  readonly version: string;
  /** It is built into the service instead. */
  readonly private?: boolean;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

const PAGES = ['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json'];

/** What prevents a package from being published. */
export function problemsOf(
  { version, exports }: Manifest,
  changelog: string,
  files: readonly string[],
): string[] {
  const targets = Object.values(exports).flatMap((conditions) => Object.values(conditions));
  const wanted = [...PAGES, ...targets.map((target) => target.replace(/^\.\//, ''))];
  const newest = /^## (\S+)/m.exec(changelog)?.[1];
  return [
    ...wanted.filter((file) => !files.includes(file)).map((file) => `${file} is not in it`),
    ...files
      .filter((file) => !PAGES.includes(file) && !/^dist\/.*\.(js|d\.ts)$/.test(file))
      .map((file) => `${file} does not belong in it`),
    ...(newest === version ? [] : [`the newest version in CHANGELOG.md is ${newest}, not ${version}`]),
  ];
}

function pack(directory: string, output: string): void {
  const manifest: Manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  if (manifest.private) return;
  const npm = (...words: string[]) =>
    execFileSync('npm', [...words, '--ignore-scripts', '--loglevel=error'], {
      cwd: directory,
      encoding: 'utf8',
    });
  rmSync(join(directory, 'dist'), { recursive: true, force: true });
  execFileSync('tsc', ['--project', directory], { stdio: 'inherit' });
  const [packed]: Packed[] = JSON.parse(npm('pack', '--json', '--pack-destination', output));
  if (!packed) throw new Error(`npm packed nothing in ${directory}`);
  const changelog = readFileSync(join(directory, 'CHANGELOG.md'), 'utf8');
  const files = packed.files.map(({ path }) => path);
  const problems = problemsOf(manifest, changelog, files);
  if (problems.length > 0) throw new Error(`${manifest.name} cannot be published: ${problems.join('; ')}`);
  npm('publish', '--dry-run', '--offline');
  console.log(
    `${packed.filename}: ${files.length} files, ${Math.ceil(packed.size / 1024)} KiB, ready to publish`,
  );
}

const [output] = process.argv.slice(2);
if (import.meta.main && output) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  for (const manifest of globSync('packages/*/package.json').sort())
    pack(join(manifest, '..'), resolve(output));
}
