/**
 * Builds the web console into one file, from which the service serves it: `console.ts OUTPUT`. Everything in it is
 * compressed. The part that a browser loads before a terminal is opened must stay below a limit.
 */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Metafile, type OutputFile } from 'esbuild';
import type { BuiltFiles } from '../httpserver/console/console-files.ts';

/** The limit in bytes, compressed, for the part that is loaded before a terminal is opened. */
const MOST = 150_000;
const SOURCE = 'packages/console/src';
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const { outputFiles, metafile } = await build({
  entryPoints: [`${SOURCE}/main.tsx`, `${SOURCE}/style.css`, `${SOURCE}/icon.svg`],
  outdir: 'build/console',
  entryNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  loader: { '.svg': 'copy' },
  bundle: true,
  splitting: true,
  minify: true,
  platform: 'browser',
  target: ['chrome120', 'firefox121', 'safari17'],
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  // Leaves out the parts of the client that need Node, which the console does not use.
  external: ['node:*', 'undici', 'ws'],
  legalComments: 'none',
  metafile: true,
  write: false,
  logLevel: 'warning',
});

/** @returns the name of the file that was built from a source */
function builtFrom(name: string): string {
  const stem = name.slice(0, -extname(name).length);
  const found = outputFiles.map(({ path }) => basename(path)).find((one) => one.startsWith(`${stem}-`));
  if (found === undefined) throw new Error(`nothing was built from ${name}`);
  return found;
}

/** @param preloads names of scripts that the first one imports, which the browser then need not discover */
function page(preloads: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>ecs-host-service</title>
<link rel="icon" href="${builtFrom('icon.svg')}">
<link rel="stylesheet" href="${builtFrom('style.css')}">
<link rel="preload" href="session" as="fetch" crossorigin>
<link rel="preload" href="/v1/containers?limit=1000" as="fetch" crossorigin>
${preloads.map((name) => `<link rel="modulepreload" href="${name}">\n`).join('')}<script type="module" src="${builtFrom('main.js')}"></script>
<div id="app"><noscript>The console needs JavaScript. Allow it for this host, or use the command line.</noscript></div>
</html>
`;
}

function fileOf(name: string, content: Uint8Array, isNamedByContent: boolean): BuiltFiles[string] {
  const type = TYPES[extname(name)];
  if (!type) throw new Error(`${name} has no known type; add it to scripts/console.ts`);
  const digest = createHash('sha256').update(content).digest('base64url').slice(0, 22);
  const zipped = gzipSync(content, { level: 9 }).toString('base64');
  return { type, tag: `"${digest}"`, isNamedByContent, zipped };
}

/** The files that the first page loads: the entry and its static imports. */
function loadedFirst({ outputs }: Metafile): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (path: string) => {
    if (found.has(path)) return;
    found.add(path);
    for (const { path: next, kind } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement') visit(next);
  };
  for (const [path, { entryPoint }] of Object.entries(outputs))
    if (entryPoint && /(main\.tsx|style\.css|icon\.svg)$/.test(entryPoint)) visit(path);
  return new Set([...found].map((path) => basename(path)));
}

const named = outputFiles.map(({ path, contents }: OutputFile) => [basename(path), contents] as const);
for (const [name, content] of named) {
  if (/(?:from|import)\s*["'](?:node:|undici|ws)/.test(Buffer.from(content).toString()))
    throw new Error(`${name} imports what only Node has`);
}
const first = new Set([...loadedFirst(metafile), 'index.html']);
const preloads = [...first].filter((name) => name.endsWith('.js') && name !== builtFrom('main.js'));
const files: BuiltFiles = Object.fromEntries([
  ...named.map(([name, content]) => [name, fileOf(name, content, true)] as const),
  ['index.html', fileOf('index.html', Buffer.from(page(preloads)), false)],
]);
const size = Object.entries(files)
  .filter(([name]) => first.has(name))
  .reduce((sum, [, { zipped }]) => sum + Buffer.from(zipped, 'base64').length, 0);
if (size > MOST) throw new Error(`the console is ${size} bytes compressed; at most ${MOST} are allowed`);
console.log(`The console is ${Math.ceil(size / 1000)} kB compressed before a terminal is opened.`);

const [output = 'build/console-files.json'] = process.argv.slice(2);
writeFileSync(output, JSON.stringify(files));
// For the list of licences of the distributed code.
writeFileSync(output.replace(/files\.json$/, 'inputs.json'), JSON.stringify(Object.keys(metafile.inputs)));
