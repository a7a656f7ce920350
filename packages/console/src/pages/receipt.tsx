/** The two parts of a receipt: the states of a container with their causes, and the resources that it holds or held. */

import { Head } from '../parts/head.tsx';
import { State } from '../parts/notice.tsx';
import { Scrolls } from '../parts/scrolls.tsx';
import { duration } from '../parts/spans.ts';
import { Ago } from '../parts/time.tsx';
import type { Receipt } from '../state/api.ts';

export function Life({ receipt: { states, warnings = [] } }: { readonly receipt: Receipt }) {
  return (
    <section aria-labelledby="life-title">
      <h2 id="life-title">Life</h2>
      <ol class="life">
        {states.map(({ state, at, code, cause }, i) => {
          const before = states[i - 1]?.at;
          return (
            <li key={`${state}${at}`}>
              <State state={state} /> <Ago at={at} />
              {before && <span class="hint"> after {duration(Date.parse(at) - Date.parse(before))}</span>}
              {cause && (
                <p>
                  {code && <code>{code}</code>} {cause}
                </p>
              )}
            </li>
          );
        })}
      </ol>
      {warnings.map(({ at, code, text }) => (
        <p class="warning" key={`${at}${code}`}>
          <strong>{code}</strong> {text} <Ago at={at} />
        </p>
      ))}
    </section>
  );
}

/** The kind of Docker's own container, which is kept for a while after the end so that its log can be read. */
const KEPT = 'docker container';

/** Whether all resources are released that the end of a container releases. */
export function isReleased({ resources }: Receipt): boolean {
  return resources.every(({ kind, released }) => released !== undefined || kind === KEPT);
}

export function Resources({ receipt: { resources, ended } }: { readonly receipt: Receipt }) {
  return (
    <section aria-labelledby="held-title">
      <h2 id="held-title">What it holds</h2>
      <Scrolls class="scrolls" label="Table of resources">
        <table class="wide">
          <Head names={['Kind', 'What', 'Acquired', 'Released']} />
          <tbody>
            {resources.map(({ kind, what, allotted, released, seen, failed }) => (
              <tr key={`${kind}${what}${allotted}`}>
                <th scope="row">{kind}</th>
                <td class="breaks">{what}</td>
                <td>
                  <Ago at={allotted} />
                </td>
                <td>
                  {released ? (
                    <Ago at={released} />
                  ) : ended && kind === KEPT ? (
                    'kept for ten minutes, for its log'
                  ) : (
                    'held'
                  )}{' '}
                  {seen && <span class="hint">{seen}</span>}
                  {failed && <strong class="bad">{failed}</strong>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolls>
    </section>
  );
}
