/** The table of all containers. The user can filter and sort it. Filter and order are kept in the address. */

import { useMemo } from 'preact/hooks';
import { Empty, State } from '../parts/notice.tsx';
import { Scrolls } from '../parts/scrolls.tsx';
import { Ago } from '../parts/time.tsx';
import type { Container } from '../state/api.ts';
import { containers, isLoaded } from '../state/live.ts';
import { refine, route } from '../state/route.ts';
import { mayAct } from '../state/session.ts';
import { COLUMNS, type Column, healthOf, isFitting, sorted } from './table.ts';

export function Containers() {
  const found = route.value;
  const query = found.page === 'containers' ? found.query : new URLSearchParams();
  const [words, state] = [query.get('find') ?? '', query.get('state') ?? ''];
  const [by = 'began', order = 'up'] = (query.get('sort') ?? '').split('.');
  const column = by in COLUMNS ? (by as Column) : 'began';
  const all = containers.value;
  const shown = useMemo(
    () =>
      sorted(
        [...all.values()].filter((one) => isFitting(one, state, words)),
        column,
        order === 'down',
      ),
    [all, state, words, column, order],
  );
  const set = (name: string, value: string) => refine('containers', query, name, value);
  const showAll = () => refine('containers', new URLSearchParams(), 'find', '');
  return (
    <>
      <h1 tabIndex={-1}>Containers</h1>
      <search class="bar">
        <label for="find">Find</label>
        <input
          id="find"
          type="search"
          data-find
          placeholder="id, app, port …"
          value={words}
          onInput={({ currentTarget }) => set('find', currentTarget.value)}
        />
        <label for="state">State</label>
        <select id="state" value={state} onChange={({ currentTarget }) => set('state', currentTarget.value)}>
          <option value="">all</option>
          {['preparing', 'created', 'running', 'assigned', 'ready', 'ending'].map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
        <span role="status">
          {shown.length} of {all.size}
        </span>
      </search>
      {isLoaded.value && all.size === 0 && (
        <Empty>
          This host has no containers.{' '}
          {mayAct.value ? <a href="#/create">Create one</a> : 'They appear here as soon as ECS places some.'}
        </Empty>
      )}
      {all.size > 0 && shown.length === 0 && (
        <Empty>
          No container fits this filter.{' '}
          <button type="button" onClick={() => showAll()}>
            Show all
          </button>
        </Empty>
      )}
      {shown.length === 0 && isId(words) && (
        <p>
          If it has ended, its receipt may still be here:{' '}
          <a href={`#/containers/${words.trim()}`}>look for the receipt of {words.trim()}</a>
        </p>
      )}
      {shown.length > 0 && (
        <Scrolls class="scrolls" label="Table of containers">
          <table class="wide containers">
            <thead>
              <tr>
                {(Object.keys(COLUMNS) as Column[]).map((name) => {
                  const isSorted = name === column;
                  const direction = order === 'down' ? 'descending' : 'ascending';
                  return (
                    <th key={name} scope="col" aria-sort={isSorted ? direction : 'none'}>
                      <button
                        type="button"
                        class="sort"
                        onClick={() => set('sort', `${name}.${isSorted && order === 'up' ? 'down' : 'up'}`)}
                      >
                        {name}
                      </button>
                    </th>
                  );
                })}
              </tr>
            </thead>
            <tbody>
              {shown.map((one) => (
                <Row key={one.id} one={one} />
              ))}
            </tbody>
          </table>
        </Scrolls>
      )}
    </>
  );
}

/** Whether the text can be the beginning of a container id. */
function isId(words: string): boolean {
  return /^[0-9a-f]{4,64}$/.test(words.trim());
}

function Row({ one }: { readonly one: Container }) {
  return (
    <tr>
      <th scope="row">
        <a href={`#/containers/${one.id}`}>
          <code>{one.id.slice(0, 12)}</code>
        </a>
      </th>
      <td title={one.app}>{one.app}</td>
      <td>
        <State state={one.state} />
      </td>
      <td>{one.role}</td>
      <td>{one.port ?? '–'}</td>
      <td>{one.tty ?? '–'}</td>
      <td>{healthOf(one) || '–'}</td>
      <td>
        <Ago at={one.since} />
      </td>
      <td>
        <Ago at={one.began} />
      </td>
    </tr>
  );
}
