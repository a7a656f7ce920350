/**
 * Bundles the ES modules of the AWS SDK packages that are loaded on demand. For a CommonJS module, a bundle would give
 * a dynamic import only the default export.
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
