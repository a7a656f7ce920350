/** An overview of the host: scarce resources, running containers, recent problems, and what to do about them. */

import { useState } from 'preact/hooks';
import { Confirm, Empty, State } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import { answerTo, api, type Capacity, type Host } from '../state/api.ts';
import { capacity, containers, events, host } from '../state/live.ts';
import { nodes, readNodes } from '../state/nodes.ts';
import { usePolled } from '../state/polled.ts';
import { mayAct } from '../state/session.ts';
import { Agent } from './agent.tsx';
import { Findings } from './findings.tsx';
import { Ended, Plots, Waiting } from './last-hour.tsx';

const STATES = ['preparing', 'created', 'running', 'assigned', 'ready', 'ending'] as const;
const GIB = 2 ** 20;
const FEW = 8;
/** Milliseconds between reads of the history, the nodes and the doctor's findings. */
const HISTORY = 15_000;
const NODES = 5000;
const DOCTOR = 600_000;

export function Overview() {
  const history = usePolled(() => answerTo(api.GET('/v1/history')), HISTORY).value;
  const doctor = usePolled(() => answerTo(api.GET('/v1/diagnosis')), DOCTOR);
  usePolled(async () => nodes.value && (await readNodes()), NODES);
  const [room, described] = [capacity.value, host.value];
  const heading = <h1 tabIndex={-1}>Overview</h1>;
  if (!room || !described) {
    return (
      <>
        {heading}
        <Empty>Reading the state of the host …</Empty>
      </>
    );
  }
  return (
    <>
      {heading}
      <HostLine host={described} />
      <Room room={room} />
      <ByState />
      {nodes.value && <NodesByState />}
      {history ? (
        <>
          <Plots history={history} />
          <Ended history={history} leaks={doctor.value?.leaks} />
          <Waiting history={history} />
        </>
      ) : (
        <Empty>Reading the last hour …</Empty>
      )}
      <Findings diagnosis={doctor.value} trouble={doctor.trouble} onAgain={doctor.readNow} />
      <Agent />
      <Latest />
    </>
  );
}

function HostLine({
  host: { id, version, commit, environment, state, started, docker, notices },
}: {
  readonly host: Host;
}) {
  const [asks, setAsks] = useState(false);
  const count = containers.value.size;
  return (
    <section aria-labelledby="host-title">
      <h2 id="host-title">Host</h2>
      <dl class="facts">
        <div>
          <dt>State</dt>
          <dd>
            <State state={state} />
          </dd>
        </div>
        <div>
          <dt>Host id</dt>
          <dd>
            <code>{id}</code>
          </dd>
        </div>
        <div>
          <dt>Started</dt>
          <dd>
            <Ago at={started} />
          </dd>
        </div>
        <div>
          <dt>Version</dt>
          <dd title={commit}>
            {version} in {environment}
          </dd>
        </div>
        <div>
          <dt>Docker</dt>
          <dd>{docker.engine}</dd>
        </div>
      </dl>
      {notices?.map(({ kind, what, at, since }) => (
        <p class="warning" key={`${kind}${since}`}>
          <strong>{kind}</strong> {what} <Ago at={at ?? since} />
        </p>
      ))}
      {state === 'draining' && (
        <>
          <p class="warning" role="status">
            The host drains: it accepts no more containers, and the service exits when the last of {count} has
            ended.
          </p>
          <InUse />
        </>
      )}
      {mayAct.value && state === 'running' && (
        <button type="button" class="danger" onClick={() => setAsks(true)}>
          Drain this host …
        </button>
      )}
      {asks && (
        <Confirm
          title="Drain this host?"
          action="Drain"
          onClose={() => setAsks(false)}
          onConfirm={async () => {
            await answerTo(api.PUT('/v1/drain'));
            host.value = await answerTo(api.GET('/v1/host'));
          }}
        >
          <p>
            The host accepts no more containers, and the service exits when the last one has ended. {count}{' '}
            {count === 1 ? 'container keeps' : 'containers keep'} running. You cannot undo a drain.
          </p>
        </Confirm>
      )}
    </section>
  );
}

/** The containers that a drain waits for: those of users first. */
function InUse() {
  const all = [...containers.value.values()].sort((a, b) => Number(b.claimed) - Number(a.claimed));
  return (
    <ul class="plain" aria-label="Still in use">
      {all.slice(0, FEW).map(({ id, app, state, claimed, began }) => (
        <li key={id}>
          <a href={`#/containers/${id}`}>{id.slice(0, 12)}</a> <State state={state} /> {app},{' '}
          {claimed ? 'assigned to a user' : 'unassigned'}, requested <Ago at={began} />
        </li>
      ))}
      {all.length > FEW && (
        <li>
          and {all.length - FEW} more: <a href="#/containers">all containers</a>
        </li>
      )}
    </ul>
  );
}

function Room({ room: { fits, short, resources, memory } }: { readonly room: Capacity }) {
  const sorted = [...resources].sort((a, b) => a.fits - b.fits);
  return (
    <section aria-labelledby="room-title">
      <h2 id="room-title">Capacity</h2>
      <p class="lead">
        {fits === 0 ? 'There is no room for another container' : `Room for ${fits} more`}
        {fits === 0 ? `: the host has no more ${short}.` : `. The host runs short of ${short} first.`}
      </p>
      <table>
        <thead>
          <tr>
            <th scope="col">Resource</th>
            <th scope="col">In use</th>
            <th scope="col" class="number">
              Held
            </th>
            <th scope="col" class="number">
              Of
            </th>
            <th scope="col" class="number">
              More containers
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ name, size, held, fits: more }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <meter
                  aria-label={`${name} in use`}
                  min={0}
                  max={Math.max(size, 1)}
                  high={size * 0.9}
                  value={held}
                />
              </td>
              <td class="number">{held}</td>
              <td class="number">{size}</td>
              <td class="number">{more}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">
        Memory of the host: {(memory.available / GIB).toFixed(1)} GiB of {(memory.total / GIB).toFixed(1)} GiB
        available.
      </p>
    </section>
  );
}

function ByState() {
  const all = [...containers.value.values()];
  return (
    <section aria-labelledby="states-title">
      <h2 id="states-title">Containers</h2>
      <ul class="tiles">
        {STATES.map((state) => (
          <li key={state}>
            <a href={`#/containers?state=${state}`}>
              <b>{all.filter((one) => one.state === state).length}</b> {state}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function NodesByState() {
  const { nodes: all, feedError, locked } = nodes.value ?? { nodes: [] };
  const states = new Map<string, number>();
  for (const { state } of all) states.set(state, (states.get(state) ?? 0) + 1);
  return (
    <section aria-labelledby="nodes-title">
      <h2 id="nodes-title">Nodes</h2>
      {feedError && <p class="warning">{feedError}</p>}
      {locked && <p class="warning">Updates are locked.</p>}
      <ul class="tiles">
        {[...states].map(([state, length]) => (
          <li key={state}>
            <a href={`#/nodes?find=${state}`}>
              <b>{length}</b> {state}
            </a>
          </li>
        ))}
      </ul>
      {all.length === 0 && <Empty>The feed wants no nodes.</Empty>}
    </section>
  );
}

function Latest() {
  const latest = events.value.slice(-FEW).reverse();
  return (
    <section aria-labelledby="latest-title">
      <h2 id="latest-title">Latest events</h2>
      {latest.length === 0 && (
        <Empty>Nothing has happened since you opened this page. Events appear here as they come.</Empty>
      )}
      <ul class="plain">
        {latest.map(({ id, at, container, code, cause }) => (
          <li key={id}>
            <Ago at={at} />{' '}
            {container && <a href={`#/containers/${container.id}`}>{container.id.slice(0, 12)}</a>}{' '}
            {container && <State state={container.state} />} <code>{code}</code> {cause}
          </li>
        ))}
      </ul>
      <a href="#/events">All events</a>
    </section>
  );
}
