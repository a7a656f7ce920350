/** A real service with one container, which all targets share that use its sockets. */

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { host as hostContainer } from '../support/callers.ts';
import { SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';
import { exchange } from './exchange.ts';
import type { Opened } from './target.ts';

export const OPERATOR_TOKEN = 'the-operators-token-of-the-fuzzer-1';

export interface Way {
  /** @returns a new connection to the service */
  readonly dial: (service: ServiceProcess) => Socket | Promise<Socket>;
  /** @throws when the answers show a fault */
  readonly judge: (said: string) => void;
}

export class RealService implements Opened<Buffer> {
  readonly service: ServiceProcess;
  /** The docker id of its container. */
  readonly docker: string;
  readonly #host: TestHost;
  readonly #dial: Way['dial'];
  readonly #judge: Way['judge'];

  static async open(way: Way): Promise<RealService> {
    const host = await TestHost.open();
    const { NODE_V8_COVERAGE = '' } = process.env;
    const env = { WEBSERVER_AUTH_SECRET: SECRET, OPERATOR_TOKEN, LOG_LEVEL: 'info', NODE_V8_COVERAGE };
    const service = await host.start({ env }).ready();
    return new RealService(host, service, await hostContainer(service), way);
  }

  private constructor(host: TestHost, service: ServiceProcess, docker: string, { dial, judge }: Way) {
    this.#host = host;
    this.#dial = dial;
    this.#judge = judge;
    this.service = service;
    this.docker = docker;
  }

  get pid(): number {
    return this.service.child.pid as number;
  }

  async take(input: Buffer): Promise<void> {
    this.#judge(await exchange(await this.#dial(this.service), input));
    // The log of many inputs is not kept.
    this.service.lines.length = 0;
  }

  async check(): Promise<void> {
    assert.equal((await this.service.get('/healthz')).status, 200);
    const { State } = await this.#host.docker.getContainer(this.docker).inspect();
    assert.ok(State.Running, 'its container has ended');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert.equal(await this.service.stop(), 0, this.service.log());
    await this.#host.finish();
    await this.#host[Symbol.asyncDispose]();
  }
}
