/** A running container's resource use and its limits. */

import type { Schemas } from 'ecs-host-service-api-client';
import { useRef } from 'preact/hooks';
import { Empty } from '../parts/notice.tsx';
import { size } from '../parts/spans.ts';
import { answerTo, api } from '../state/api.ts';
import { usePolled } from '../state/polled.ts';

type Use = Schemas['ResourceUse'];

/** Milliseconds between reads. */
const EVERY = 3000;

/** @returns processors in use between two reads; undefined: that is not known yet */
function processorsBetween(before: Use | undefined, now: Use): number | undefined {
  const seconds = (Date.parse(now.at) - Date.parse(before?.at ?? now.at)) / 1000;
  return before && seconds > 0
    ? Math.max(0, now.processor.used - before.processor.used) / seconds
    : undefined;
}

export function LimitsInUse({ id }: { readonly id: string }) {
  const before = useRef<Use | undefined>(undefined);
  const { value, trouble } = usePolled(async () => {
    const now = await answerTo(api.GET('/v1/containers/{id}/use', { params: { path: { id } } }));
    const processors = processorsBetween(before.current, now);
    before.current = now;
    return { ...now, processors };
  }, EVERY);
  return (
    <section aria-labelledby="use-title">
      <h2 id="use-title">Limits and use</h2>
      {trouble ? (
        <Empty>{trouble.text}</Empty>
      ) : (
        <dl class="facts gauges">
          <Gauge
            name="Processors"
            used={value?.processors}
            limit={value?.processor.limit}
            inWords={(amount) => amount.toFixed(2)}
          />
          <Gauge name="Memory" used={value?.memory.used} limit={value?.memory.limit} inWords={size} />
          <Gauge
            name="Processes"
            used={value?.processes.used}
            limit={value?.processes.limit}
            inWords={String}
          />
        </dl>
      )}
    </section>
  );
}

interface GaugeProps {
  readonly name: string;
  /** undefined: not known yet. */
  readonly used: number | undefined;
  /** undefined: no limit. */
  readonly limit: number | undefined;
  readonly inWords: (amount: number) => string;
}

function Gauge({ name, used, limit, inWords }: GaugeProps) {
  const text = used === undefined ? '…' : inWords(used);
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <b>{text}</b> {limit === undefined ? 'without a limit' : `of ${inWords(limit)}`}
        {limit !== undefined && (
          <meter aria-label={`${name} in use`} min={0} max={limit} high={limit * 0.9} value={used ?? 0} />
        )}
      </dd>
    </div>
  );
}
