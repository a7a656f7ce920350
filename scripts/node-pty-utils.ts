/** Replaces node-pty's search for its native part, which is beside the bundle under another name. */

import { createRequire } from 'node:module';
import { join } from 'node:path';

/** As in node-pty: copies the fields of the other objects to the first one. */
export function assign(target: object, ...sources: readonly object[]): object {
  return Object.assign(target, ...sources);
}

export function loadNativeModule(name: string): { readonly dir: string; readonly module: unknown } {
  const dir = import.meta.dirname;
  const file = join(dir, `${name}-linux-${process.arch}.node`);
  return { dir, module: createRequire(import.meta.url)(file) };
}
