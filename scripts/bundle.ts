/** Bundles the service into one file that Node runs without node_modules. */

import { build } from 'esbuild';

const [outfile = 'build/ecs-host-service.mjs'] = process.argv.slice(2);

await build({
  entryPoints: ['src/ecs-host-service.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  legalComments: 'linked',
  logLevel: 'warning',
  // dockerode can reach Docker over ssh, with native code that no bundle can hold; this service never does.
  alias: { ssh2: './scripts/no-ssh.ts' },
  // What CommonJS packages expect to find.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); const __dirname = import.meta.dirname;",
  },
});
