/**
 * Builds the zip file of a Lambda function or layer, with everything that it needs:
 *
 *     node scripts/lambda-zip.ts function ENTRY.ts OUTPUT.zip   a function whose handler is `index.handler`
 *     node scripts/lambda-zip.ts layer OUTPUT.zip               a layer for functions that `require('echostream-node')`
 *
 * An ES module in a function cannot import the package of a layer by name. From Node 22.12 on, it can `require` it.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { zipSync } from 'fflate';

const PACKAGE = join(import.meta.dirname, '..');
const SOURCE = join(PACKAGE, 'src/echostream-node.ts');
/** The earliest time in a zip file, so that the bytes do not depend on the time of the build. */
const TIME = new Date(1980, 0, 1);

async function bundle(entry: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node22.12',
    format: 'esm',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
    alias: { 'echostream-node': SOURCE },
    // CommonJS packages expect these variables.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  return (outputFiles[0] as { contents: Uint8Array }).contents;
}

export async function functionZip(entry: string): Promise<Uint8Array> {
  return zipSync({ 'index.mjs': await bundle(entry) }, { mtime: TIME });
}

export async function layerZip(): Promise<Uint8Array> {
  const { name, version, license } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
  const manifest = { name, version, license, type: 'module', exports: './index.mjs' };
  const directory = `nodejs/node_modules/${name}`;
  return zipSync(
    {
      [`${directory}/index.mjs`]: await bundle(SOURCE),
      [`${directory}/package.json`]: Buffer.from(JSON.stringify(manifest)),
    },
    { mtime: TIME },
  );
}

if (import.meta.main) {
  const [kind, ...words] = process.argv.slice(2);
  const output = words.at(-1);
  if (!output || !(kind === 'layer' || (kind === 'function' && words.length === 2))) {
    throw new Error('usage: lambda-zip.ts function ENTRY.ts OUTPUT.zip | layer OUTPUT.zip');
  }
  writeFileSync(output, await (kind === 'layer' ? layerZip() : functionZip(words[0] as string)));
}
