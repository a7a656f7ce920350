/** The Docker proxy, with an Engine that may answer with anything. */

import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { serveClient } from '../../../ecs-agent-bridge/docker-proxy/connection.ts';
import { exchange } from '../exchange.ts';
import { mutated } from '../mutations.ts';
import type { Target } from '../target.ts';

const CALL = Buffer.from('GET /v1.41/containers/json HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n');

const body = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.jsonValue().map((value) => JSON.stringify(value)),
);

function chunked(text: string, sizes: readonly number[]): string {
  let [rest, wire] = [Buffer.from(text), ''];
  for (const size of sizes) {
    const part = rest.subarray(0, size);
    if (part.length > 0) wire += `${part.length.toString(16)}\r\n${part.toString('latin1')}\r\n`;
    rest = rest.subarray(size);
  }
  if (rest.length > 0) wire += `${rest.length.toString(16)}\r\n${rest.toString('latin1')}\r\n`;
  return `${wire}0\r\n\r\n`;
}

const answer = fc
  .record({
    interim: fc.constantFrom(
      '',
      '',
      'HTTP/1.1 102 Processing\r\n\r\n',
      'HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n',
    ),
    status: fc.constantFrom(200, 201, 204, 304, 404, 409, 500, 99, 1000),
    framing: fc.constantFrom('length', 'chunked', 'close', 'both'),
    body,
    sizes: fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 4 }),
  })
  .map(({ interim, status, framing, body: text, sizes }) => {
    const isChunked = framing === 'chunked' || framing === 'both';
    const fields = [
      ...(framing === 'length' || framing === 'both' ? [`Content-Length: ${Buffer.byteLength(text)}`] : []),
      ...(isChunked ? ['Transfer-Encoding: chunked'] : []),
    ];
    const head = `HTTP/1.1 ${status} Reason\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
    return `${interim}${head}${isChunked ? chunked(text, sizes) : text}`;
  });

async function listen(server: Server, path: string): Promise<void> {
  await once(server.listen(path), 'listening');
}

export const target: Target<Buffer> = {
  share: 60,
  parsers: [
    'ecs-agent-bridge/docker-proxy/engine.ts',
    'ecs-agent-bridge/docker-proxy/message-head.ts',
    'ecs-agent-bridge/docker-proxy/body-scanner.ts',
    'ecs-agent-bridge/docker-proxy/source.ts',
  ],
  inputs: mutated(answer),
  async open() {
    const place = await mkdtempDisposable(join(tmpdir(), 'fuzz-'));
    const [path, socket] = [join(place.path, 'proxy'), join(place.path, 'docker')];
    let said: Buffer = Buffer.alloc(0);
    let rejected: unknown;
    const engine = createServer((client) => {
      client.on('error', () => {});
      client.once('data', () => client.end(said));
    });
    const proxy = createServer({ allowHalfOpen: true }, (client) => {
      const options = { socket, handlerOf: () => undefined, lost: async () => {} };
      serveClient(client, options).catch((error: unknown) => {
        rejected = error;
      });
    });
    await listen(engine, socket);
    await listen(proxy, path);
    const call = async (bytes: Buffer) => {
      said = bytes;
      const got = await exchange(connect(path), CALL);
      if (rejected) throw rejected;
      return got;
    };
    return {
      async take(input) {
        const got = await call(input);
        if (got !== '' && !got.startsWith('HTTP/1.')) throw new Error(`not HTTP: ${got.slice(0, 200)}`);
      },
      async check() {
        const got = await call(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell'));
        if (!got.endsWith('\r\n\r\nwell')) throw new Error(`a well-formed answer did not arrive: ${got}`);
      },
      async [Symbol.asyncDispose]() {
        proxy.close();
        engine.close();
        await place.remove();
      },
    };
  },
};
