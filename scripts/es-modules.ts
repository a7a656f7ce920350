/**
 * Takes the ES modules of AWS SDK packages that the code loads on demand. Of a CommonJS module, a bundle would give a
 * dynamic import the default export alone.
 */

import { resolve } from 'node:path';
import type { Plugin } from 'esbuild';

export const esModules: Plugin = {
  name: 'es-modules',
  setup(building) {
    building.onResolve({ filter: /^@aws-sdk\/[a-z0-9-]+$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path: resolve(`node_modules/${path}/dist-es/index.js`) } : undefined,
    );
  },
};
