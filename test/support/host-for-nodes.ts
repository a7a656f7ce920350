/** The common set-up of all test files about nodes: a host with Docker, and a registry. */

import { after, afterEach } from 'node:test';
import { Registry } from './registry.ts';
import { TestHost } from './test-host.ts';

/** Both end with the file. After each test, nothing of the test may be left on the host. */
export async function hostForNodes(): Promise<{ readonly host: TestHost; readonly registry: Registry }> {
  const host = new TestHost();
  await host.startDocker();
  const registry = await Registry.open();
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  });
  afterEach(() => host.finish());
  return { host, registry };
}
