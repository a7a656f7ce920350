/** A real service with one container, which the targets that go through its sockets share. */

import assert from 'node:assert/strict';
import { host as hostContainer } from '../support/callers.ts';
import { SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

export const OPERATOR_TOKEN = 'the-operators-token-of-the-fuzzer-1';

export class RealService implements AsyncDisposable {
  readonly service: ServiceProcess;
  /** The docker id of its container. */
  readonly docker: string;
  readonly #host: TestHost;

  static async open(): Promise<RealService> {
    const host = await TestHost.open();
    const { NODE_V8_COVERAGE = '' } = process.env;
    const env = { WEBSERVER_AUTH_SECRET: SECRET, OPERATOR_TOKEN, LOG_LEVEL: 'info', NODE_V8_COVERAGE };
    const service = await host.start({ env }).ready();
    return new RealService(host, service, await hostContainer(service));
  }

  private constructor(host: TestHost, service: ServiceProcess, docker: string) {
    this.#host = host;
    this.service = service;
    this.docker = docker;
  }

  get pid(): number {
    return this.service.child.pid as number;
  }

  /** The log of many inputs is not kept. */
  forget(): void {
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
