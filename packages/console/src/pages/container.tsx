/**
 * The page of one container: its life so far, its resources, ports, files, terminals and output. After its end, the
 * page shows its receipt.
 */

import { useEffect, useState } from 'preact/hooks';
import { Confirm, Empty, Failure, State } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import { answerTo, api, type Container, type Receipt, type Trouble, troubleOf } from '../state/api.ts';
import { containers, isLoaded } from '../state/live.ts';
import { mayAct } from '../state/session.ts';
import { Logs } from './logs.tsx';
import { isReleased, Life, Resources } from './receipt.tsx';
import { Terminals } from './terminals.tsx';
import { LimitsInUse } from './use.tsx';
import { UserFiles } from './user-files.tsx';

/** Milliseconds between reads of a receipt while resources are released, which the event stream does not report. */
const LOOK = 3000;

/** @param id the whole id, or its first digits */
function containerBy(id: string): Container | undefined {
  const all = containers.value;
  const fitting =
    all.get(id) ?? [...all.values()].find((one) => one.id.startsWith(id) || one.docker?.startsWith(id));
  return fitting;
}

export function ContainerPage({ id }: { readonly id: string }) {
  const container = containerBy(id);
  const [receipt, setReceipt] = useState<Receipt>();
  const [trouble, setTrouble] = useState<Trouble>();
  // The receipt describes a container also while it runs. It is read again after each change of the container, and
  // after its last change until all resources are released.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isCurrent = true;
    const read = async () => {
      try {
        const found = await answerTo(api.GET('/v1/containers/{id}/receipt', { params: { path: { id } } }));
        if (!isCurrent) return;
        setReceipt(found);
        setTrouble(undefined);
        if (!container && !isReleased(found)) timer = setTimeout(() => void read(), LOOK);
      } catch (error) {
        if (isCurrent) setTrouble(troubleOf(error));
      }
    };
    void read();
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [id, container, isLoaded.value]);
  const title = (
    <h1 tabIndex={-1}>
      Container <code>{(receipt?.container ?? id).slice(0, 12)}</code>{' '}
      <State state={container?.state ?? receipt?.states.at(-1)?.state ?? 'unknown'} />
    </h1>
  );
  if (!receipt) {
    return (
      <>
        {title}
        {trouble ? <Failure trouble={trouble} /> : <Empty>Reading …</Empty>}
        {trouble && <a href="#/containers">All containers</a>}
      </>
    );
  }
  return (
    <>
      {title}
      {trouble && <Failure trouble={trouble} />}
      {container && mayAct.value && <Actions container={container} receipt={receipt} />}
      {receipt.ended && (
        <p class="lead" role="status">
          It ended <Ago at={receipt.ended} />: {receipt.cause ?? 'the cause is not known'}
        </p>
      )}
      <Facts container={container} receipt={receipt} />
      <Life receipt={receipt} />
      {container && ['running', 'assigned', 'ready'].includes(container.state) && (
        <LimitsInUse id={container.id} />
      )}
      {container && <Terminals of={container.id} />}
      <Logs
        key={receipt.container}
        isRunning={container !== undefined}
        open={(query, signal) =>
          api.GET('/v1/containers/{id}/logs', {
            params: { path: { id: receipt.container }, query },
            parseAs: 'stream',
            signal,
          })
        }
      />
      {container?.claimed && <UserFiles id={container.id} />}
      <Resources receipt={receipt} />
    </>
  );
}

function Actions({ container, receipt }: { readonly container: Container; readonly receipt: Receipt }) {
  const [asks, setAsks] = useState(false);
  const held = receipt.resources.filter(({ released }) => released === undefined);
  const { id, state, claimed } = container;
  return (
    <p class="actions">
      {['running', 'assigned', 'ready'].includes(state) && (
        <a class="button primary" href={`#/containers/${id}/terminal`}>
          Open a terminal
        </a>
      )}
      <button type="button" class="danger" disabled={state === 'ending'} onClick={() => setAsks(true)}>
        {state === 'ending' ? 'Stopping …' : 'Stop …'}
      </button>
      {asks && (
        <Confirm
          title={`Stop container ${id.slice(0, 12)}?`}
          action="Stop"
          onClose={() => setAsks(false)}
          onConfirm={async () => {
            // The response comes only when all resources are released. The event stream shows the progress meanwhile.
            const call = answerTo(api.POST('/v1/containers/{id}/stop', { params: { path: { id } } }));
            await Promise.race([call, new Promise((resolve) => setTimeout(resolve, 1000))]);
          }}
        >
          <p>
            Its program gets SIGTERM, and SIGKILL after ten seconds. Everything that runs in it ends, with all
            of its terminals.{' '}
            {claimed
              ? "Then the service saves its user's files. "
              : 'It is unassigned, so no files are saved. '}
            {held.length} resources are released.
          </p>
        </Confirm>
      )}
    </p>
  );
}

function Facts({
  container,
  receipt,
}: {
  readonly container: Container | undefined;
  readonly receipt: Receipt;
}) {
  const { docker, role, app, task, began } = receipt;
  const health = container?.health;
  const ports = Object.entries(container?.ports ?? {});
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Container id', receipt.container],
    ['Docker id', docker],
    ['App', app],
    ['Made by', role],
    ['ECS task', task],
    ['Assigned', container && (container.claimed ? 'to a user' : 'to nobody yet')],
    ['Virtual console', container?.tty === undefined ? undefined : `/dev/tty${container.tty}`],
    ['Ports', ports.map(([inside, outside]) => `${outside} → ${inside}`).join(', ') || undefined],
    ['Idle timeout', container?.idleTimeout === undefined ? undefined : `${container.idleTimeout} s`],
    ['Health check', health?.docker],
    ['Port 32262/tcp', health?.port],
  ];
  return (
    <section aria-labelledby="facts-title">
      <h2 id="facts-title">Facts</h2>
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name}>
                <dt>{name}</dt>
                <dd class="breaks">{value}</dd>
              </div>
            ),
        )}
        <div>
          <dt>Requested</dt>
          <dd>
            <Ago at={began} />
          </dd>
        </div>
      </dl>
    </section>
  );
}
