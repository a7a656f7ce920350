/**
 * Bundles the service, or other entry files, into a directory that Node runs without node_modules. Modules that are
 * loaded on demand are in separate files, so that a start does not read them.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { builtIns } from './built-ins.ts';
import { esModules } from './es-modules.ts';
import { licencesOf } from './licences.ts';

const [outdir = 'build/bundle', ...given] = process.argv.slice(2);

rmSync(outdir, { recursive: true, force: true });

const { metafile } = await build({
  entryPoints: given.length > 0 ? given : ['src/ecs-host-service.ts', 'user-configs/encrypting-worker.ts'],
  outdir,
  entryNames: '[name]',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  // Names are kept for readable stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  alias: {
    // Its CommonJS build cannot be tree-shaken, so the bundle would contain 700 unused operations.
    '@aws-sdk/client-ec2': '@aws-sdk/client-ec2/dist-es/index.js',
    '@aws-sdk/client-auto-scaling': '@aws-sdk/client-auto-scaling/dist-es/index.js',
    ssh2: './scripts/left-out.ts',
    '@grpc/grpc-js': './scripts/left-out.ts',
    '@grpc/proto-loader': './scripts/left-out.ts',
    protobufjs: './scripts/left-out.ts',
    'tar-fs': './scripts/left-out.ts',
    '@balena/dockerignore': './scripts/left-out.ts',
  },
  plugins: [
    builtIns,
    esModules,
    {
      name: 'node-pty',
      setup: (building) => {
        building.onResolve({ filter: /^\.\/utils$/ }, ({ importer }) =>
          importer.includes('/node-pty/') ? { path: resolve('scripts/node-pty-utils.ts') } : undefined,
        );
      },
    },
  ],
  define: {
    BUILT_FROM: JSON.stringify(process.env.COMMIT ?? 'unknown'),
    SECCOMP_PROFILE: JSON.stringify(JSON.stringify(JSON.parse(readFileSync('build/seccomp.json', 'utf8')))),
  },
  // Globals that CommonJS packages expect.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname;",
  },
});

// The console is distributed too; see console.ts.
const { inputs } = metafile;
for (const path of JSON.parse(readFileSync('build/console-inputs.json', 'utf8')) as string[])
  inputs[path] ??= { bytes: 0, imports: [] };
writeFileSync(join(outdir, 'LICENCES.txt'), licencesOf(metafile));
