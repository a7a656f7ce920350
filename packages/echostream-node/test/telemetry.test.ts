/** The telemetry that a program with OpenTelemetry's SDK would get. Small providers replace the SDK. */

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import {
  type Context,
  type ContextManager,
  context,
  createContextKey,
  type Meter,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { TestNode } from './support/test-node.ts';
import { eventually, World } from './support/world.ts';

const recorded: string[] = [];
const spans: string[] = [];
const TRACE = createContextKey('the trace of the tests');

/** Keeps the active context across awaits. */
class Contexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active = (): Context => this.#storage.getStore() ?? ROOT_CONTEXT;
  with: ContextManager['with'] = (given, work, self, ...words) =>
    this.#storage.run(given, () => work.call(self as ThisParameterType<typeof work>, ...words));
  bind: ContextManager['bind'] = (_given, target) => target;
  enable = (): this => this;
  disable = (): this => this;
}

const propagator: TextMapPropagator = {
  fields: () => ['traceparent'],
  inject(given, carrier, setter) {
    const value = given.getValue(TRACE);
    if (typeof value === 'string') setter.set(carrier, 'traceparent', value);
  },
  extract: (given, carrier, getter) => given.setValue(TRACE, getter.get(carrier, 'traceparent')),
};

const tracer = {
  startActiveSpan(name: string, _options: object, parent: Context, work: (span: Span) => unknown): unknown {
    spans.push(`${name} in ${String(parent.getValue(TRACE))}`);
    const span = { setStatus: () => spans.push(`${name} failed`), end: () => spans.push(`${name} ended`) };
    return context.with(parent, () => work(span as unknown as Span));
  },
} as unknown as Tracer;

const instruments = new Set<string>();
const instrument = (name: string) => {
  instruments.add(name);
  return {
    add: (count: number, labels: object) => recorded.push(`${name} ${count} ${JSON.stringify(labels)}`),
    record: (_value: number, labels: object) => recorded.push(`${name} ${JSON.stringify(labels)}`),
  };
};
const meter = {
  createCounter: instrument,
  createUpDownCounter: instrument,
  createHistogram: instrument,
} as unknown as Meter;

before(() => {
  context.setGlobalContextManager(new Contexts());
  propagation.setGlobalPropagator(propagator);
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  metrics.setGlobalMeterProvider({ getMeter: () => meter });
});

test('a trace continues from the sender through the handler to what it sends, and counters report the results', async () => {
  await using world = await World.start();
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  await incoming.send([
    { body: 'one', attributes: { traceparent: 'trace-7' }, group: 'g', deduplicationId: 'd' },
  ]);
  const send = outgoing.send.bind(outgoing);
  outgoing.send = async () => {
    outgoing.send = send;
    return [{ ok: false, reason: 'InternalError', final: false }];
  };
  let failed = false;
  const node = new TestNode(world.options, async ({ message }, self) => {
    if (!failed) {
      failed = true;
      throw new Error('once');
    }
    await self.sendMessage(self.createMessage(message.body));
    await self.auditMessage(message);
  });
  await node.start();
  await eventually(() => incoming.messages.length === 0);
  await node.stop();
  assert.equal(outgoing.messages[0]?.attributes.traceparent, 'trace-7');
  const handling = 'process before';
  assert.deepEqual(spans, [
    `${handling} in trace-7`,
    `${handling} failed`,
    `${handling} ended`,
    `${handling} in trace-7`,
    'send after in trace-7',
    'send after ended',
    `${handling} ended`,
  ]);
  const ofNode = (labels: object): string => JSON.stringify({ node: 'my node', ...labels });
  for (const expected of [
    `echostream.messages.received 1 ${ofNode({ source: 'before' })}`,
    `echostream.messages.in_flight 1 ${ofNode({ source: 'before' })}`,
    `echostream.messages.in_flight -1 ${ofNode({ source: 'before' })}`,
    `echostream.handler.duration ${ofNode({ source: 'before', outcome: 'failed' })}`,
    `echostream.handler.duration ${ofNode({ source: 'before', outcome: 'handled' })}`,
    `echostream.messages.sent 1 ${ofNode({ target: 'after', outcome: 'sent' })}`,
    `echostream.retries 1 ${ofNode({ operation: 'send' })}`,
    `echostream.audit_records 1 ${ofNode({ outcome: 'delivered' })}`,
  ]) {
    assert.ok(recorded.includes(expected), `${expected} is not in\n${recorded.join('\n')}`);
  }
});

test("the README's table of metrics has each metric of the library, and no other", () => {
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  const rows = [...readme.matchAll(/^\| `(echostream\.[\w.]+)` /gm)].map(([, name]) => name);
  assert.deepEqual(new Set(rows), instruments);
});
