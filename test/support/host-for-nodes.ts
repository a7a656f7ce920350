/** What each test file about nodes has: a host with Docker, and a registry of its own. */

import { after, afterEach } from 'node:test';
import { Registry } from './registry.ts';
import { TestHost } from './test-host.ts';

/** Both end with the file. After each test, nothing of it may be left on the host. */
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
