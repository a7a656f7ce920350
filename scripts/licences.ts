/** Lists the packages in a bundle with the licences under which they may be distributed. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** The directories of packages; a package may be inside another one's directory. */
function packagesIn({ inputs }: Metafile): readonly string[] {
  const found = Object.keys(inputs).flatMap(
    (path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [],
  );
  return [...new Set(found)].sort((a, b) => (a < b ? -1 : 1));
}

function textsIn(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((one) => one.isFile() && /^(licen[cs]e|copying|notice)/i.test(one.name))
    .map(({ name }) => name)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => readFileSync(join(directory, name), 'utf8').trim());
}

/** @throws Error when a package does not name its licence */
export function licencesOf(metafile: Metafile): string {
  const parts = packagesIn(metafile).map((directory) => {
    const manifest = join(directory, 'package.json');
    const { name, version, license }: Package = JSON.parse(readFileSync(manifest, 'utf8'));
    const texts = textsIn(directory);
    if (!license && texts.length === 0) throw new Error(`${directory} has no licence; leave it out`);
    return [`${name} ${version}: ${license ?? 'see below'}`, ...texts].join('\n\n');
  });
  return `${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
