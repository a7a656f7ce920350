/** A reporter of `node --test-reporter` that ends the process at the first test that fails. */

import type { TestEvent } from 'node:test/reporters';

export default async function* firstFailure(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type === 'test:fail') throw new Error(`a test failed: ${data.name}`);
    if (type === 'test:pass') yield '.';
  }
}
