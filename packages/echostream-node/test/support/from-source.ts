/** Lets an example import the package by its name before it is built: `node --import from-source.ts example.ts`. */

import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier === 'echostream-node'
        ? new URL('../../src/echostream-node.ts', import.meta.url).href
        : specifier,
      context,
    ),
});
