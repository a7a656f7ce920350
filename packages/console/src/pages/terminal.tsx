/** The page of a terminal in a container. The terminal emulator is loaded only when this page opens. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { PANELS } from '../panels.ts';
import { Empty } from '../parts/notice.tsx';
import { answerTo, api, type Container } from '../state/api.ts';
import { containers } from '../state/live.ts';
import { nodes } from '../state/nodes.ts';
import { rename } from '../state/route.ts';
import type { Phase, Wanted } from '../terminal/connection.ts';
import type { Screen } from '../terminal/screen.ts';

type Asked =
  | { readonly container: string }
  | { readonly node: string }
  | { readonly terminal: string; readonly as: 'write' | 'watch' | 'take' };

const WORDS: Readonly<Record<Exclude<Phase['is'], 'ended'>, string>> = {
  connecting: 'Opening …',
  attached: 'Attached',
  lost: 'The connection broke; the program keeps running. Trying again …',
};

export function TerminalPage({ asked }: { readonly asked: Asked }) {
  const place = useRef<HTMLDivElement>(null);
  const [screen, setScreen] = useState<Screen>();
  const [failed, setFailed] = useState(false);
  const [owner, setOwner] = useState(
    'container' in asked ? asked.container : 'node' in asked ? asked.node : undefined,
  );
  const [isReading, setReading] = useState(false);
  useEffect(() => {
    const gone = new AbortController();
    let opened: Screen | undefined;
    const onAttached = (terminal: string) => {
      const as = 'as' in asked && asked.as === 'watch' ? '?as=watch' : '';
      rename(`#/terminals/${terminal}${as}`);
      void answerTo(api.GET('/v1/terminals')).then(
        ({ terminals }) => setOwner(terminals.find(({ id }) => id === terminal)?.container),
        () => {},
      );
    };
    import('../terminal/screen.ts').then(
      ({ openScreen }) => {
        if (gone.signal.aborted || !place.current) return;
        const wanted = (columns: number, rows: number): Wanted =>
          'terminal' in asked ? asked : { ...asked, columns, rows };
        opened = openScreen(place.current, wanted, onAttached);
        setScreen(opened);
      },
      () => setFailed(true),
    );
    return () => {
      gone.abort();
      opened?.close();
    };
  }, []);
  const container = owner === undefined ? undefined : containers.value.get(owner);
  const isNode = nodes.value?.nodes.some(({ name }) => name === owner) ?? false;
  const phase = screen?.connection.phase.value;
  return (
    <div class="terminal-page">
      <h1 tabIndex={-1}>
        Terminal{' '}
        {owner !== undefined && (
          <>
            in{' '}
            <a href={`#/${isNode ? 'nodes' : 'containers'}/${owner}`}>
              <code>{owner.slice(0, 12)}</code>
            </a>
          </>
        )}
      </h1>
      <div class="bar">
        <span role="status" class={phase?.is === 'lost' ? 'bad' : ''}>
          {phase === undefined ? WORDS.connecting : phase.is === 'ended' ? phase.text : WORDS[phase.is]}
          {phase?.is === 'attached' &&
            screen &&
            !screen.connection.writes.value &&
            '; you watch, and cannot type'}
        </span>
        <span class="pair">
          <label for="terminal-find">Search</label>
          <input
            id="terminal-find"
            type="search"
            onKeyDown={({ key, shiftKey, currentTarget }) =>
              key === 'Enter' && screen?.find(currentTarget.value, shiftKey)
            }
          />
        </span>
        <button type="button" onClick={() => screen?.copy()}>
          Copy
        </button>
        <button type="button" onClick={() => screen?.paste()}>
          Paste
        </button>
        <label>
          <input
            type="checkbox"
            checked={isReading}
            onChange={({ currentTarget: { checked } }) => {
              setReading(checked);
              screen?.readAloud(checked);
            }}
          />{' '}
          Screen reader
        </label>
      </div>
      {failed && <Empty>The terminal could not be loaded. Reload the page.</Empty>}
      <div class="beside">
        <div ref={place} class="screen" />
        {container && <Panels container={container} />}
      </div>
      <p class="hint">
        Ctrl+Shift+C copies, Ctrl+Shift+V pastes. Leave the page, and what runs here goes on; the address of
        this page leads back to it. To leave the terminal with the keyboard, press Ctrl+Shift+Escape.
      </p>
    </div>
  );
}

function Panels({ container }: { readonly container: Container }) {
  const [name, setName] = useState<string>();
  const fitting = PANELS.filter(({ fits }) => fits(container));
  const shown = fitting.find((one) => one.name === name);
  if (fitting.length === 0) return null;
  return (
    <aside class="panel" aria-label="Beside the terminal">
      <div class="bar">
        {fitting.map((one) => (
          <button
            type="button"
            key={one.name}
            aria-pressed={one === shown}
            onClick={() => setName(one === shown ? undefined : one.name)}
          >
            {one.title}
          </button>
        ))}
      </div>
      {shown && <shown.Content container={container} />}
    </aside>
  );
}
