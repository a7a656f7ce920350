/** The doctor's findings about the host, with the next step for each problem. */

import type { Schemas } from 'ecs-host-service-api-client';
import { Empty, Failure, State } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import type { Trouble } from '../state/api.ts';

type Diagnosis = Schemas['Diagnosis'];
type Finding = Diagnosis['findings'][number];

export function Findings({
  diagnosis,
  trouble,
  onAgain,
}: {
  readonly diagnosis: Diagnosis | undefined;
  readonly trouble: Trouble | undefined;
  readonly onAgain: () => void;
}) {
  const of = (grade: Finding['grade']) => diagnosis?.findings.filter((one) => one.grade === grade) ?? [];
  const [bad, good] = [[...of('error'), ...of('warning')], of('ok')];
  return (
    <section aria-labelledby="doctor-title">
      <h2 id="doctor-title">Doctor</h2>
      {trouble && <Failure trouble={trouble} />}
      {!diagnosis && !trouble && <Empty>Checking the host …</Empty>}
      {diagnosis && bad.length === 0 && <Empty>Everything is as it should be.</Empty>}
      <List findings={bad} />
      {good.length > 0 && (
        <details>
          <summary>
            {good.length} {good.length === 1 ? 'check is' : 'checks are'} good
          </summary>
          <List findings={good} />
        </details>
      )}
      {diagnosis && (
        <p class="bar">
          <button type="button" onClick={onAgain}>
            Check again
          </button>
          <span class="hint">
            Checked <Ago at={diagnosis.at} />. The host is checked at most once a minute.
          </span>
        </p>
      )}
    </section>
  );
}

function List({ findings }: { readonly findings: readonly Finding[] }) {
  return (
    <ul class="plain">
      {findings.map(({ check, grade, found, advice }) => (
        <li key={`${check}${found}`}>
          <State state={grade} /> <strong>{check}</strong>: {found}
          {advice && <p class="hint">→ {advice}</p>}
        </li>
      ))}
    </ul>
  );
}
