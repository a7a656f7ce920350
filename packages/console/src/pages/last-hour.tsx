/** The parts of the overview that show the last hour: plots, what has ended or leaked, and what waits for S3. */

import type { Schemas } from 'ecs-host-service-api-client';
import { Plot } from '../parts/plot.tsx';
import { duration, percent, size } from '../parts/spans.ts';

/** Milliseconds between the oldest and the newest sample of an hour. */
const NEARLY_AN_HOUR = 59 * 60_000;

type History = Schemas['History'];
type Sample = History['samples'][number];

export function Plots({ history: { samples, sizes } }: { readonly history: History }) {
  const of = (read: (sample: Sample) => number) =>
    samples.map((sample) => ({ at: Date.parse(sample.at), value: read(sample) }));
  const [first, last] = [samples[0], samples.at(-1)];
  const span = Date.parse(last?.at ?? '') - Date.parse(first?.at ?? '');
  const keepsFiles = last?.waiting !== undefined;
  return (
    <section aria-labelledby="hour-title">
      <h2 id="hour-title">
        {span > 0 && span < NEARLY_AN_HOUR ? `The last ${duration(span)}` : 'The last hour'}
      </h2>
      <div class="plots">
        <Plot title="Containers" points={of(({ containers }) => containers)} inWords={String} />
        <Plot title="Ended in half a minute" points={of(({ ends }) => ends)} inWords={String} />
        <Plot title="Processors" points={of(({ processor }) => processor)} most={1} inWords={percent} />
        <Plot
          title={`Memory of ${size(sizes.memory)}`}
          points={of(({ memory }) => memory)}
          most={sizes.memory}
          inWords={size}
        />
        <Plot
          title={`Disk of ${size(sizes.disk)}`}
          points={of(({ disk }) => disk)}
          most={sizes.disk}
          inWords={size}
        />
        {keepsFiles && (
          <Plot title="Waits for S3" points={of(({ waiting }) => waiting?.bytes ?? 0)} inWords={size} />
        )}
      </div>
    </section>
  );
}

export function Ended({
  history: { ended, notReleased, predecessorDied },
  leaks,
}: {
  readonly history: History;
  /** undefined: they are not known. */
  readonly leaks: readonly string[] | undefined;
}) {
  const causes = Object.entries(ended).sort(([, a], [, b]) => b - a);
  return (
    <section aria-labelledby="ended-title">
      <h2 id="ended-title">Ended and leaked</h2>
      {predecessorDied && (
        <p class="warning">
          The service before this one crashed. This one took over what it left. The log of this service says
          why it crashed, as far as that is known.
        </p>
      )}
      {notReleased > 0 && (
        <p class="warning">
          {notReleased === 1
            ? 'One resource could not be released at first.'
            : `${notReleased} resources could not be released at first.`}{' '}
          The service tries again each minute. The receipt of the container says which one, and why.
        </p>
      )}
      {leaks?.map((leak) => (
        <p class="warning" key={leak}>
          <strong>Leak</strong> {leak}
        </p>
      ))}
      {causes.length > 0 ? (
        <dl class="facts">
          {causes.map(([code, times]) => (
            <div key={code}>
              <dt>
                <code>{code}</code>
              </dt>
              <dd>{times}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p class="empty">No container has ended since the service started.</p>
      )}
      {leaks?.length === 0 && <p class="hint">No leaks: the ledger, Docker and the kernel agree.</p>}
    </section>
  );
}

export function Waiting({ history: { samples } }: { readonly history: History }) {
  const waiting = samples.at(-1)?.waiting;
  const text =
    waiting === undefined
      ? 'This host stores no files of users.'
      : waiting.files === 0
        ? 'Everything that was saved is in S3.'
        : `${waiting.files} saves (${size(waiting.bytes)}) wait for S3. If they stay, check that this host reaches S3.`;
  return (
    <section aria-labelledby="waiting-title">
      <h2 id="waiting-title">Users' files</h2>
      <p class={waiting && waiting.files > 0 ? 'warning' : 'empty'}>{text}</p>
    </section>
  );
}
