/** The managed nodes of the host: the nodes in the feed, the running ones, the planned steps, and the history. */

import { useState } from 'preact/hooks';
import { Head } from '../parts/head.tsx';
import { Confirm, Empty, Failure, State } from '../parts/notice.tsx';
import { Scrolls } from '../parts/scrolls.tsx';
import { Ago } from '../parts/time.tsx';
import { answerTo, api } from '../state/api.ts';
import { type Node, type NodeEvent, nodes, type PlannedStep, readNodes } from '../state/nodes.ts';
import { usePolled } from '../state/polled.ts';
import { refine, route } from '../state/route.ts';
import { mayAct } from '../state/session.ts';

/** Milliseconds between reads. */
const EVERY = 3000;
const DIGITS = 12;

export interface Reading {
  readonly steps: readonly PlannedStep[];
  /** The newest is last. */
  readonly events: readonly NodeEvent[];
}

/** Keeps the nodes, their plan and their events up to date while the page is open. */
export function useNodes() {
  return usePolled<Reading>(async () => {
    const [{ steps }, { events }] = await Promise.all([
      answerTo(api.GET('/v1/nodes/plan')),
      answerTo(api.GET('/v1/nodes/events')),
      readNodes(),
    ]);
    return { steps, events };
  }, EVERY);
}

export function shortDigest(digest: string | undefined): string {
  return digest?.replace('sha256:', '').slice(0, DIGITS) ?? '–';
}

export function Nodes() {
  const { value, trouble, readNow } = useNodes();
  const found = route.value;
  const query = found.page === 'nodes' ? found.query : new URLSearchParams();
  const words = query.get('find') ?? '';
  const all = nodes.value?.nodes ?? [];
  const fitting = all.filter((one) =>
    [one.name, one.type, one.state, one.image, one.cause]
      .join(' ')
      .toLowerCase()
      .includes(words.toLowerCase()),
  );
  if (trouble && !nodes.value) {
    return (
      <>
        <h1 tabIndex={-1}>Nodes</h1>
        {trouble.title === 'node.none' ? (
          <Empty>This host has no managed nodes. To have some, set NODES_FEED; docs/nodes.md says how.</Empty>
        ) : (
          <Failure trouble={trouble} />
        )}
      </>
    );
  }
  return (
    <>
      <h1 tabIndex={-1}>Nodes</h1>
      {trouble && <Failure trouble={trouble} />}
      <Feed onChange={readNow} />
      <search class="bar">
        <label for="find">Find</label>
        <input
          id="find"
          type="search"
          data-find
          placeholder="name, state, image …"
          value={words}
          onInput={({ currentTarget }) => refine('nodes', query, 'find', currentTarget.value)}
        />
        <span role="status">
          {fitting.length} of {all.length}
        </span>
      </search>
      {nodes.value && all.length === 0 && <Empty>The feed wants no nodes.</Empty>}
      {all.length > 0 && fitting.length === 0 && <Empty>No node fits.</Empty>}
      {fitting.length > 0 && <Table all={fitting} />}
      <Plan steps={value?.steps} />
      <History events={value?.events} />
    </>
  );
}

function Feed({ onChange }: { readonly onChange: () => void }) {
  const [asks, setAsks] = useState(false);
  const { app, feed, feedError, lookError, locked } = nodes.value ?? {};
  return (
    <section aria-labelledby="feed-title">
      <h2 id="feed-title">Feed</h2>
      {feedError && (
        <p class="warning">
          <strong>The feed cannot be used.</strong> {feedError} The nodes stay as they are.
        </p>
      )}
      {lookError && (
        <p class="warning">
          <strong>The states may be old.</strong> {lookError}
        </p>
      )}
      <dl class="facts">
        <div>
          <dt>App</dt>
          <dd>{app ?? 'not known yet'}</dd>
        </div>
        <div>
          <dt>Where the nodes are named</dt>
          <dd class="breaks">{feed}</dd>
        </div>
        <div>
          <dt>Updates</dt>
          <dd>{locked ? 'locked' : 'allowed'}</dd>
        </div>
      </dl>
      {mayAct.value && (
        <button type="button" onClick={() => setAsks(true)}>
          {locked ? 'Unlock updates …' : 'Lock updates …'}
        </button>
      )}
      {asks && (
        <Confirm
          title={locked ? 'Allow updates of nodes?' : 'Lock updates of nodes?'}
          action={locked ? 'Unlock' : 'Lock'}
          onClose={() => setAsks(false)}
          onConfirm={async () => {
            await answerTo(api.PUT('/v1/nodes/lock', { body: { locked: !locked } }));
            onChange();
          }}
        >
          <p>
            {locked
              ? 'Nodes that the feed has changed in the meantime are replaced at once.'
              : 'Running nodes keep their containers until you unlock, whatever the feed wants. New nodes still start, and removed nodes still stop. The lock outlives the service.'}
          </p>
        </Confirm>
      )}
    </section>
  );
}

function Table({ all }: { readonly all: readonly Node[] }) {
  return (
    <Scrolls class="scrolls" label="Table of nodes">
      <table class="wide nodes">
        <Head names={['Node', 'State', 'Since', 'Wanted image', 'Runs digest', 'Cause']} />
        <tbody>
          {all.map(({ name, state, since, image, digest, cause }) => (
            <tr key={name}>
              <th scope="row">
                <a href={`#/nodes/${name}`}>{name}</a>
              </th>
              <td>
                <State state={state} />
              </td>
              <td>
                <Ago at={since} />
              </td>
              <td title={image}>{image ?? 'none'}</td>
              <td title={digest}>
                <code>{shortDigest(digest)}</code>
              </td>
              <td class="breaks">{cause}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

/** @param steps undefined: they have not been read yet */
export function Plan({ steps }: { readonly steps: readonly PlannedStep[] | undefined }) {
  return (
    <section aria-labelledby="plan-title">
      <h2 id="plan-title">Plan</h2>
      {steps?.length === 0 && (
        <Empty>There is nothing to do: the running containers are what the feed wants.</Empty>
      )}
      <ol class="steps">
        {steps?.map(({ node, do: what, container, cause }, i) => (
          <li key={`${i}${node}${what}`}>
            <strong>{what}</strong> <a href={`#/nodes/${node}`}>{node}</a>{' '}
            {container && <code>{container.slice(0, DIGITS)}</code>} <span class="hint">{cause}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** The maximum number of events that are shown. */
const MOST = 100;

/** @param events undefined: they have not been read yet */
export function History({ events }: { readonly events: readonly NodeEvent[] | undefined }) {
  return (
    <section aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      {events?.length === 0 && <Empty>Nothing has happened since the service started.</Empty>}
      <ol class="plain" aria-label="What happened, the newest first">
        {events
          ?.slice(-MOST)
          .reverse()
          .map(({ id, at, node, state, cause }) => (
            <li key={id}>
              <Ago at={at} /> <a href={`#/nodes/${node}`}>{node}</a> <State state={state} /> {cause}
            </li>
          ))}
      </ol>
    </section>
  );
}
