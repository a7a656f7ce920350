/**
 * The proxy between clients and a Docker Engine that a test plays itself. At the end, it asserts that no client is still served
 * and that none of the Engine's connections is open.
 */

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, serveClient } from '../../ecs-agent-bridge/docker-proxy/connection.ts';
import { dial, Peer } from './docker-proxy-peers.ts';

interface BenchOptions extends Partial<Pick<ConnectionOptions, 'lost'>> {
  /** @param engine path of the Engine's socket */
  readonly handlerOf?: (engine: string) => ConnectionOptions['handlerOf'];
  /** Replaces the Engine that a test plays byte by byte. */
  readonly engine?: Server;
  /** Whether the Engine is away at first. */
  readonly isAway?: boolean;
}

export class ProxyBench {
  /** The address at which the proxy listens. */
  readonly path: string;
  readonly enginePath: string;
  /** The Engine's ends of its connections, in order. */
  readonly engines: Peer[] = [];
  /** The number of reports that the Engine is away. */
  losses = 0;
  readonly #directory = mkdtempSync(join(tmpdir(), 'docker-proxy-'));
  readonly #clients: Peer[] = [];
  readonly #served: Promise<void>[] = [];
  readonly #proxy: Server;
  readonly #given: Server | undefined;
  readonly #news = new EventEmitter();
  #engine: Server | undefined;

  static async open(options: BenchOptions = {}): Promise<ProxyBench> {
    const bench = new ProxyBench(options);
    if (!options.isAway) await bench.startEngine();
    bench.#proxy.listen(bench.path);
    await once(bench.#proxy, 'listening');
    return bench;
  }

  private constructor({ handlerOf, lost, engine }: BenchOptions) {
    this.path = join(this.#directory, 'proxy');
    this.enginePath = join(this.#directory, 'engine');
    this.#given = engine;
    const options: ConnectionOptions = {
      socket: this.enginePath,
      handlerOf: handlerOf?.(this.enginePath) ?? (() => undefined),
      lost: async () => {
        this.losses += 1;
        await lost?.();
      },
    };
    this.#proxy = createServer({ allowHalfOpen: true }, (client) => {
      this.#served.push(serveClient(client, options));
    });
  }

  async startEngine(): Promise<void> {
    rmSync(this.enginePath, { force: true });
    this.#engine = this.#given ?? createServer({ allowHalfOpen: true });
    if (!this.#given) {
      this.#engine.on('connection', (socket) => {
        this.engines.push(new Peer(socket));
        this.#news.emit('engine');
      });
    }
    this.#engine.listen(this.enginePath);
    await once(this.#engine, 'listening');
  }

  /** Like a daemon that dies: its connections break. */
  stopEngine(): void {
    this.#engine?.close();
    this.#engine = undefined;
    rmSync(this.enginePath, { force: true });
    for (const { socket } of this.engines) socket.destroy();
  }

  async dial(): Promise<Peer> {
    const client = await dial(this.path);
    this.#clients.push(client);
    return client;
  }

  /** A new client sends a request, and the Engine receives it. @returns the client, and the Engine's end of its connection */
  async ask(request: string): Promise<[Peer, Peer]> {
    const index = this.engines.length;
    const client = await this.dial();
    client.say(request);
    const engine = await this.engine(index);
    await engine.hear(request);
    return [client, engine];
  }

  /** The Engine's end of the connection with this number, from 0, once it exists. */
  async engine(index = 0): Promise<Peer> {
    for (;;) {
      const engine = this.engines[index];
      if (engine) return engine;
      await once(this.#news, 'engine');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // No new client can connect. Otherwise a client of a failed test would keep trying.
    this.#proxy.close();
    for (const { socket } of this.#clients) socket.destroy();
    for (const engine of this.engines) {
      // A client that does not read sees no end of the connection.
      engine.socket.resume();
      // Like Docker after its client has disconnected.
      await engine.ended();
      engine.socket.end();
      await engine.closed();
    }
    const results = await Promise.allSettled(this.#served);
    this.#engine?.close();
    rmSync(this.#directory, { recursive: true });
    assert.deepEqual(
      results.filter(({ status }) => status === 'rejected'),
      [],
    );
  }
}
