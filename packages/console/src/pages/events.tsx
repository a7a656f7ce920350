/** The page of live events. Pausing freezes the list, but loses no events. The filter is kept in the address. */

import { useState } from 'preact/hooks';
import { Empty, State } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import { events, type Seen } from '../state/live.ts';
import { refine, route } from '../state/route.ts';

const MOST = 300;

export function Events() {
  const found = route.value;
  const query = found.page === 'events' ? found.query : new URLSearchParams();
  const words = query.get('find') ?? '';
  const [held, setHeld] = useState<readonly Seen[]>();
  const all = held ?? events.value;
  const text = words.toLowerCase();
  const fitting = all.filter(({ code, cause, container, kind }) =>
    [kind, code, cause, container?.id, container?.app, container?.state]
      .join(' ')
      .toLowerCase()
      .includes(text),
  );
  const behind = held ? events.value.length - held.length : 0;
  return (
    <>
      <h1 tabIndex={-1}>Events</h1>
      <search class="bar">
        <label for="find">Filter</label>
        <input
          id="find"
          type="search"
          data-find
          value={words}
          onInput={({ currentTarget }) => refine('events', query, 'find', currentTarget.value)}
        />
        <button
          type="button"
          aria-pressed={held !== undefined}
          onClick={() => setHeld(held ? undefined : events.value)}
        >
          {held ? 'Continue' : 'Pause'}
        </button>
        <span role="status">
          {held ? `Paused; ${behind} more have come` : `${fitting.length} of ${all.length}`}
        </span>
      </search>
      {all.length === 0 && (
        <Empty>Nothing has happened since you opened the console. Events appear here as they come.</Empty>
      )}
      {all.length > 0 && fitting.length === 0 && <Empty>No event fits this filter.</Empty>}
      <ol class="plain" aria-label="Events, the newest first">
        {fitting
          .slice(-MOST)
          .reverse()
          .map(({ id, at, container, from, code, cause }) => (
            <li key={id}>
              <Ago at={at} />{' '}
              {container ? (
                <a href={`#/containers/${container.id}`}>{container.id.slice(0, 12)}</a>
              ) : (
                'this host'
              )}{' '}
              {from && <>{from} → </>}
              {container && <State state={container.state} />} <code>{code}</code> {cause}
            </li>
          ))}
      </ol>
    </>
  );
}
