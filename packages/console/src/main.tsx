/** The frame of the console: the user, the state of the connection, and the navigation. */

import { computed, effect, signal, untracked, useSignalEffect } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ContainerPage } from './pages/container.tsx';
import { Containers } from './pages/containers.tsx';
import { Create } from './pages/create.tsx';
import { Events } from './pages/events.tsx';
import { NodePage } from './pages/node.tsx';
import { Nodes } from './pages/nodes.tsx';
import { Overview } from './pages/overview.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { TerminalPage } from './pages/terminal.tsx';
import { Empty, Failure } from './parts/notice.tsx';
import type { Route } from './state/address.ts';
import { follow, isLoaded, line, trouble } from './state/live.ts';
import { nodes } from './state/nodes.ts';
import { go, route } from './state/route.ts';
import { isOut, lookWho, mayAct, session, signOut } from './state/session.ts';

const PAGES = [
  ['overview', 'Overview', 'o'],
  ['containers', 'Containers', 'c'],
  ['nodes', 'Nodes', 'm'],
  ['events', 'Events', 'e'],
  ['create', 'Create', 'n'],
] as const;

const LINES = { connecting: 'Connecting …', live: 'Live', lost: 'Connection lost; trying again …' } as const;
const PAUSE = 2000;
/** Milliseconds for which the first picture waits for its content, so that the browser paints the page once. */
const SOON = 300;

function Page({ at }: { readonly at: Route }) {
  switch (at.page) {
    case 'overview':
      return <Overview />;
    case 'containers':
      return <Containers />;
    case 'container':
      return <ContainerPage key={at.id} id={at.id} />;
    case 'new terminal':
      return <TerminalPage key={`new ${at.id}`} asked={{ container: at.id }} />;
    case 'terminal':
      // A viewer can only watch, even if the address asks for more.
      return (
        <TerminalPage
          key={`${at.id} ${at.as}`}
          asked={{ terminal: at.id, as: mayAct.value ? at.as : 'watch' }}
        />
      );
    case 'nodes':
      return <Nodes />;
    case 'node':
      return <NodePage key={at.name} name={at.name} />;
    case 'new node terminal':
      return <TerminalPage key={`new ${at.name}`} asked={{ node: at.name }} />;
    case 'events':
      return <Events />;
    case 'create':
      return <Create />;
    default:
      return (
        <>
          <h1 tabIndex={-1}>Nothing here</h1>
          <Empty>
            This address leads nowhere. <a href="#/overview">Go to the overview</a>
          </Empty>
        </>
      );
  }
}

/** Whether the user and the host have a use for a page. */
function isOffered(page: (typeof PAGES)[number][0]): boolean {
  if (page === 'create') return mayAct.value;
  return page !== 'nodes' || nodes.value !== undefined;
}

/** Keyboard shortcuts of one letter, which do nothing while the user types. */
function onKey(event: KeyboardEvent, help: () => void): void {
  const target = event.target as HTMLElement;
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    target.closest('input, textarea, select, dialog, .screen')
  )
    return;
  const page = PAGES.find(([, , key]) => key === event.key)?.[0];
  if (page) go(`#/${page}`);
  else if (event.key === '/') document.querySelector<HTMLElement>('[data-find]')?.focus();
  else if (event.key === '?') help();
  else return;
  event.preventDefault();
}

function Frame() {
  const main = useRef<HTMLElement>(null);
  const help = useRef<HTMLDialogElement>(null);
  const [at, setAt] = useState(route.value);
  const shown = useRef<string | undefined>(undefined);
  useSignalEffect(() => setAt(route.value));
  useEffect(() => {
    const listen = (event: KeyboardEvent) => onKey(event, () => help.current?.showModal());
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);
  const place = `${at.page} ${'id' in at ? at.id : 'name' in at ? at.name : ''}`;
  useEffect(() => {
    const heading = main.current?.querySelector('h1');
    document.title = `${heading?.textContent ?? 'Console'} – ${location.host}`;
    // Move the focus only after a change of page, so that a user who is already typing keeps it.
    if (shown.current !== undefined && shown.current !== place) heading?.focus();
    shown.current = place;
  }, [place, isLoaded.value]);
  const who = session.value.state === 'in' ? session.value.kind : undefined;
  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.querySelector('h1')?.focus()}>
        Skip to the page
      </button>
      <header>
        <nav aria-label="Pages">
          {PAGES.filter(([page]) => isOffered(page)).map(([page, title, key]) => (
            <a
              key={page}
              href={`#/${page}`}
              title={`Key: ${key}`}
              aria-current={at.page === page ? 'page' : undefined}
            >
              {title}
            </a>
          ))}
        </nav>
        <p class={`line ${line.value}`} role="status">
          {LINES[line.value]}
        </p>
        <p class="who">
          {who === 'viewer' ? 'viewer (look only)' : who}{' '}
          {who !== 'root' && (
            <button type="button" onClick={() => void signOut()}>
              Sign out
            </button>
          )}
        </p>
      </header>
      <main ref={main} id="main">
        {trouble.value && line.value !== 'live' && (
          <div class="over">
            <Failure trouble={trouble.value} />
          </div>
        )}
        {isLoaded.value ? <Page at={at} /> : <h1 tabIndex={-1}>Reading the state of the host …</h1>}
      </main>
      <dialog ref={help} aria-labelledby="help-title">
        <h2 id="help-title">Keys</h2>
        <dl class="facts">
          {[
            ...PAGES.map(([, title, key]) => [key, title]),
            ['/', 'Find'],
            ['?', 'This help'],
            ['Escape', 'Close a dialog'],
          ].map(([key, what]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
        <button type="button" onClick={() => help.current?.close()}>
          Close
        </button>
      </dialog>
    </>
  );
}

function Console() {
  const { value } = session;
  if (value.state === 'in') return <Frame />;
  if (value.state === 'out') return <SignIn why={value.why} />;
  return (
    <main id="main">
      <h1 tabIndex={-1}>Console</h1>
      <Empty>Asking the service who you are …</Empty>
    </main>
  );
}

async function begin(): Promise<void> {
  while ((await lookWho()) === undefined) await new Promise((resolve) => setTimeout(resolve, PAUSE));
}

// The console reads the host's state while it still waits to learn who is signed in.
effect(() => {
  if (isOut.value) return;
  const ended = new AbortController();
  void follow(ended.signal);
  return () => ended.abort();
});
const isDue = signal(false);
setTimeout(() => {
  isDue.value = true;
}, SOON);
// The effect below depends on this one value, so it draws only once. Afterwards, the components follow the state themselves.
const isShown = computed(
  () => isDue.value || isOut.value || (session.value.state === 'in' && isLoaded.value),
);
effect(() => {
  if (isShown.value) untracked(() => render(<Console />, document.getElementById('app') as HTMLElement));
});
void begin();
