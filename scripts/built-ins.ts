/**
 * Lets a bundle get Node's built-in modules by a call instead of an import. For an import, Node reads all exports of
 * the module, and `http` then loads all of undici.
 */

import { builtinModules } from 'node:module';
import type { Plugin } from 'esbuild';

const NAMESPACE = 'built-in';
const NAMES = new Set(builtinModules);
const EXPORTED = /^(?!default$)[A-Za-z_]\w*$/;

export const builtIns: Plugin = {
  name: NAMESPACE,
  setup(building) {
    building.onResolve({ filter: /^(node:)?[a-z]/ }, ({ path, kind }) => {
      const name = path.replace(/^node:/, '');
      return kind === 'import-statement' && NAMES.has(name)
        ? { path: name, namespace: NAMESPACE }
        : undefined;
    });
    building.onLoad({ filter: /./, namespace: NAMESPACE }, ({ path }) => ({ contents: moduleOf(path) }));
  },
};

/** Only the names that are used remain in the bundle. */
function moduleOf(name: string): string {
  const names = Object.keys(process.getBuiltinModule(name) as object).filter((key) => EXPORTED.test(key));
  return [
    `const builtIn = /* @__PURE__ */ process.getBuiltinModule('node:${name}');`,
    'export default builtIn;',
    ...names.map((key) => `export const ${key} = /* @__PURE__ */ (() => builtIn.${key})();`),
  ].join('\n');
}
