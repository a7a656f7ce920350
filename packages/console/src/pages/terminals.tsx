/** The open terminals of a container or a node. */

import { Empty } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import { answerTo, api } from '../state/api.ts';
import { usePolled } from '../state/polled.ts';
import { mayAct } from '../state/session.ts';

/** Milliseconds between reads, because the event stream does not report terminals. */
const EVERY = 3000;

/** @param of a container id, or the name of a node */
export function Terminals({ of }: { readonly of: string }) {
  const { value } = usePolled(() => answerTo(api.GET('/v1/terminals')), EVERY);
  const open = value?.terminals.filter(({ container }) => container === of);
  return (
    <section aria-labelledby="terminals-title">
      <h2 id="terminals-title">Terminals</h2>
      {open?.length === 0 && <Empty>No terminal is open here.</Empty>}
      <ul class="plain">
        {open?.map(({ id, program, by, began, columns, rows, attached, written }) => (
          <li key={id}>
            <code>{id}</code> {program}, {columns}×{rows}, opened <Ago at={began} /> from {by}, {attached}{' '}
            attached <a href={`#/terminals/${id}?as=watch`}>Watch</a>{' '}
            {mayAct.value && (
              <a href={`#/terminals/${id}${written ? '?as=take' : ''}`}>{written ? 'Take over' : 'Attach'}</a>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
