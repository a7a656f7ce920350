/**
 * Draws a terminal. The output of a container is not trusted. No escape sequence may reach the clipboard, the title or
 * the address bar. A link opens only after the user has seen its address.
 */

import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import { Connection, type Wanted } from './connection.ts';

export interface Screen {
  readonly connection: Connection;
  find(text: string, backwards: boolean): void;
  copy(): void;
  paste(): void;
  readAloud(isOn: boolean): void;
  close(): void;
}

const LINES = 10_000;
/** The maximum number of bytes that may wait to be drawn. The emulator discards data beyond 50 MB. */
const MOST_PENDING = 16 * 2 ** 20;
const DARK = {
  background: '#0d1117',
  foreground: '#e6edf3',
  cursor: '#e6edf3',
  selectionBackground: '#264f78',
};

function openLink(_: MouseEvent, uri: string): void {
  if (!/^https?:\/\//i.test(uri)) return;
  if (confirm(`A program in the container printed this link. Open it?\n\n${uri}`))
    window.open(uri, '_blank', 'noopener,noreferrer');
}

export function openScreen(
  place: HTMLElement,
  wanted: (columns: number, rows: number) => Wanted,
  onAttached: (terminal: string) => void,
): Screen {
  const terminal = new Terminal({
    scrollback: LINES,
    fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
    fontSize: 14,
    lineHeight: 1.2,
    cursorBlink: true,
    theme: DARK,
    linkHandler: { activate: openLink },
  });
  const [fit, search] = [new FitAddon(), new SearchAddon()];
  terminal.loadAddon(fit);
  terminal.loadAddon(search);
  terminal.loadAddon(new WebLinksAddon(openLink));
  terminal.open(place);
  fit.fit();
  let pending = 0;
  const connection = new Connection(wanted(terminal.cols, terminal.rows), {
    onBytes: (bytes) => {
      pending += bytes.length;
      terminal.write(bytes, () => {
        pending -= bytes.length;
        if (pending === 0) connection.resume();
      });
      if (pending > MOST_PENDING) connection.hold();
    },
    onAttached: (id) => {
      connection.resize(terminal.cols, terminal.rows);
      onAttached(id);
      terminal.focus();
    },
    onMissed: (bytes) => terminal.write(`\r\n[${bytes} bytes were not kept]\r\n`),
  });
  terminal.onData((text) => connection.type(text));
  terminal.onResize(({ cols, rows }) => connection.resize(cols, rows));
  terminal.attachCustomKeyEventHandler((event) => {
    if (!event.ctrlKey || !event.shiftKey || event.type !== 'keydown') return true;
    if (event.code === 'KeyC') copy();
    else if (event.code === 'Escape') document.querySelector<HTMLElement>('nav a')?.focus();
    else return event.code !== 'KeyV';
    event.preventDefault();
    return false;
  });
  const watching = new ResizeObserver(() => fit.fit());
  watching.observe(place);

  function copy(): void {
    const text = terminal.getSelection();
    if (text !== '') void navigator.clipboard.writeText(text).catch(() => {});
  }

  return {
    connection,
    copy,
    find: (text, backwards) => void (backwards ? search.findPrevious(text) : search.findNext(text)),
    paste: () => {
      void navigator.clipboard.readText().then(
        (text) => terminal.paste(text),
        () => {},
      );
      terminal.focus();
    },
    readAloud: (isOn) => {
      terminal.options.screenReaderMode = isOn;
    },
    close: () => {
      watching.disconnect();
      connection.close();
      terminal.dispose();
    },
  };
}
