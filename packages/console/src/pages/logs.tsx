/**
 * Follows the output of a container or a node. All output is shown as text, never as markup. The page keeps a limited number of
 * lines, and draws once per frame, so that a container with very much output does not freeze it.
 */

import { messagesOf } from 'ecs-host-service-api-client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from '../parts/notice.tsx';
import { Scrolls } from '../parts/scrolls.tsx';
import { answerTo, type LogLine, type Trouble, troubleOf } from '../state/api.ts';
import { untilHidden, visible } from '../state/visible.ts';

/** The number of lines that are kept, and that are requested first. */
const MOST = 5000;
const FIRST = 1000;
const PAUSE = 2000;

interface Query {
  readonly follow: true;
  readonly tail?: number;
  readonly after?: string;
}

interface Kept {
  readonly line: LogLine;
  readonly row: HTMLElement;
}

function rowOf({ at, stream, text }: LogLine): HTMLElement {
  const row = document.createElement('div');
  row.className = stream;
  row.title = `${at} ${stream}`;
  row.textContent = text === '' ? '\u200b' : text;
  return row;
}

interface LogsProps {
  readonly isRunning: boolean;
  /** Opens the stream of the output. */
  readonly open: (query: Query, signal: AbortSignal) => Promise<unknown>;
}

export function Logs({ isRunning, open }: LogsProps) {
  const box = useRef<HTMLElement>(null);
  const kept = useRef<Kept[]>([]);
  const words = useRef('');
  const [isFollowing, setFollowing] = useState(true);
  const following = useRef(true);
  const [status, setStatus] = useState('Reading …');
  const [trouble, setTrouble] = useState<Trouble>();
  const [hits, setHits] = useState<number>();

  const fits = ({ text }: LogLine) => text.toLowerCase().includes(words.current);
  const filter = (text: string) => {
    words.current = text.toLowerCase();
    for (const { line, row } of kept.current) row.hidden = !fits(line);
    setHits(text === '' ? undefined : kept.current.filter(({ line }) => fits(line)).length);
  };

  useEffect(() => {
    const ended = new AbortController();
    let waiting: LogLine[] = [];
    const draw = () => {
      const found = waiting.slice(-MOST);
      waiting = [];
      const rows = found.map((line) => ({ line, row: rowOf(line) }));
      for (const { line, row } of rows) row.hidden = !fits(line);
      kept.current.push(...rows);
      const one = box.current;
      if (!one) return;
      one.append(...rows.map(({ row }) => row));
      for (const { row } of kept.current.splice(0, Math.max(0, kept.current.length - MOST))) row.remove();
      if (following.current) one.scrollTop = one.scrollHeight;
    };
    const take = (line: LogLine) => {
      waiting.push(line);
      if (waiting.length > 2 * MOST) waiting = waiting.slice(-MOST);
      if (waiting.length === 1) (document.hidden ? setTimeout : requestAnimationFrame)(draw);
    };
    const read = async () => {
      let last: string | undefined;
      while (!ended.signal.aborted) {
        await visible();
        using hidden = untilHidden();
        const signal = AbortSignal.any([ended.signal, hidden.signal]);
        try {
          const from = last === undefined ? { tail: FIRST } : { after: last };
          const reader = messagesOf(
            await answerTo(open({ follow: true, ...from }, signal) as never),
          ).getReader();
          setStatus('Following');
          setTrouble(undefined);
          for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            if (value.event === 'line') take(JSON.parse(value.data));
            if (value.id) last = value.id;
            if (value.event === 'end') return setStatus('The output has ended.');
            if (value.event === 'failed') throw new Error(JSON.parse(value.data).detail);
          }
        } catch (error) {
          if (ended.signal.aborted) return;
          if (hidden.signal.aborted) continue;
          const found = troubleOf(error);
          if (found.status !== 0) {
            setTrouble(found);
            return setStatus('');
          }
        }
        setStatus('The connection broke. Trying again …');
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    };
    void read();
    return () => ended.abort();
  }, []);

  return (
    <section aria-labelledby="logs-title">
      <h2 id="logs-title">Output</h2>
      <search class="bar">
        <label for="log-find">Search</label>
        <input id="log-find" type="search" onInput={({ currentTarget }) => filter(currentTarget.value)} />
        <label>
          <input
            type="checkbox"
            checked={isFollowing}
            onChange={({ currentTarget: { checked } }) => {
              following.current = checked;
              setFollowing(checked);
            }}
          />{' '}
          Follow
        </label>
        <span role="status">
          {hits === undefined ? status : `${hits} lines fit`}
          {!isRunning && status === 'Reading …' ? ' what is kept' : ''}
        </span>
      </search>
      {trouble && <Failure trouble={trouble} />}
      <Scrolls place={box} class="log" label="Output of the container" />
    </section>
  );
}
