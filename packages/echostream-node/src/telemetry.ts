/** Metrics and traces with OpenTelemetry. Without its SDK, each call here is an empty function. */

import {
  type Context,
  context,
  type Attributes as Labels,
  metrics,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { messageOf } from './errors.ts';
import type { Attributes } from './message.ts';

const NAME = 'echostream-node';

export type Telemetry = ReturnType<typeof makeTelemetry>;

export function makeTelemetry(node: string) {
  const meter = metrics.getMeter(NAME);
  const tracer = trace.getTracer(NAME);
  const counter = (name: string, description: string) => {
    const made = meter.createCounter(name, { description });
    return (count: number, labels: Labels): void => made.add(count, { node, ...labels });
  };
  const inFlight = meter.createUpDownCounter('echostream.messages.in_flight', {
    description: 'Messages whose handler runs.',
  });
  const duration = meter.createHistogram('echostream.handler.duration', {
    description: 'How long handlers take.',
    unit: 's',
  });

  const inSpan = async <T>(name: string, kind: SpanKind, parent: Context, work: (span: Span) => Promise<T>) =>
    tracer.startActiveSpan(name, { kind }, parent, async (span) => {
      try {
        return await work(span);
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
        throw error;
      } finally {
        span.end();
      }
    });

  return {
    received: counter('echostream.messages.received', 'Messages that were received.'),
    sent: counter('echostream.messages.sent', 'Messages that were sent, or could not be.'),
    audited: counter('echostream.audit_records', 'Audit records that were delivered, or dropped.'),
    retried: counter('echostream.retries', 'Entries and calls that were repeated.'),

    /** Runs a handler within a span that continues the sender's trace. */
    async handling(source: string, attributes: Attributes, handle: () => Promise<unknown>): Promise<void> {
      const began = performance.now();
      const labels = { node, source };
      let outcome = 'failed';
      inFlight.add(1, labels);
      try {
        await inSpan(
          `process ${source}`,
          SpanKind.CONSUMER,
          propagation.extract(context.active(), attributes),
          handle,
        );
        outcome = 'handled';
      } finally {
        inFlight.add(-1, labels);
        duration.record((performance.now() - began) / 1000, { ...labels, outcome });
      }
    },

    /** Sends within a span, and adds its context to the message as `traceparent` and similar attributes. */
    sending<T>(target: string, send: (traceContext: Attributes) => Promise<T>): Promise<T> {
      return inSpan(`send ${target}`, SpanKind.PRODUCER, context.active(), () => {
        const carrier: Record<string, string> = {};
        propagation.inject(context.active(), carrier);
        return send(carrier);
      });
    },
  };
}
