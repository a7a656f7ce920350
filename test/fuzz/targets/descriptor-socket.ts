/** The socket that passes input devices to a container's program. The container can reach it. */

import { closeSync, openSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { DescriptorSocket } from '../../../uinput-native/descriptor-socket.ts';
import type { Target } from '../target.ts';

interface Input {
  readonly bytes: Uint8Array;
  readonly leaves: 'at once' | 'after its words' | 'at the end';
}

export const target: Target<Input> = {
  share: 30,
  parsers: ['uinput-native/descriptor-socket.ts'],
  inputs: fc.record({
    bytes: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(200_000))),
    leaves: fc.constantFrom('at once', 'after its words', 'at the end'),
  }),
  async open() {
    const place = await mkdtempDisposable(join(tmpdir(), 'fuzz-'));
    const descriptors = ['first', 'second'].map((name) => openSync(join(place.path, name), 'a'));
    let handOvers = 0;
    const troubles: unknown[] = [];
    const server = new DescriptorSocket({
      directory: place.path,
      name: 'uinput.sock',
      descriptors,
      onHandOver: (count) => {
        handOvers = count;
      },
      onTrouble: (error) => troubles.push(error),
    });
    const path = join(place.path, 'uinput.sock');
    return {
      async take({ bytes, leaves }) {
        const client = connect(path).on('error', () => {});
        const { promise: closed, resolve } = Promise.withResolvers<void>();
        client.on('close', () => resolve()).resume();
        if (leaves === 'at once') client.destroy();
        else if (leaves === 'after its words') client.write(bytes, () => client.destroy());
        else client.end(bytes);
        await closed;
        if (troubles.length > 0) throw troubles[0];
      },
      async check() {
        const before = handOvers;
        const client = connect(path).resume();
        while (handOvers === before) await pause(1);
        client.destroy();
      },
      async [Symbol.asyncDispose]() {
        server.close();
        for (const descriptor of descriptors) closeSync(descriptor);
        await place.remove();
      },
    };
  },
};
