/** What the ECS agent of the host reports about itself. */

import type { Schemas } from 'ecs-host-service-api-client';
import { Empty, Failure, State } from '../parts/notice.tsx';
import { answerTo, api } from '../state/api.ts';
import { usePolled } from '../state/polled.ts';

const EVERY = 15_000;

export function Agent() {
  const { value, trouble } = usePolled(() => answerTo(api.GET('/v1/agent')), EVERY);
  return (
    <section aria-labelledby="agent-title">
      <h2 id="agent-title">ECS agent</h2>
      {trouble?.title === 'agent.none' ? (
        <Empty>This service runs no ECS agent.</Empty>
      ) : trouble ? (
        <Failure trouble={trouble} />
      ) : value ? (
        <Known agent={value} />
      ) : (
        <Empty>Asking the agent …</Empty>
      )}
    </section>
  );
}

function Known({
  agent: { cluster, containerInstance, version, tasks },
}: {
  readonly agent: Schemas['Agent'];
}) {
  return (
    <>
      <dl class="facts">
        {[
          ['Cluster', cluster],
          ['Version', version],
          ['Container instance', containerInstance],
        ].map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="breaks">{value}</dd>
          </div>
        ))}
      </dl>
      {tasks.length === 0 && <Empty>It has no tasks.</Empty>}
      <ul class="plain">
        {tasks.map(({ arn, family, knownStatus, desiredStatus }) => (
          <li key={arn}>
            {family} <State state={knownStatus} />
            {desiredStatus && desiredStatus !== knownStatus && ` to be ${desiredStatus}`} <code>{arn}</code>
          </li>
        ))}
      </ul>
    </>
  );
}
