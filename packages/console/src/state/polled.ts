/** Reads repeatedly, while the page is visible, what the event stream does not report. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { type Trouble, troubleOf } from './api.ts';
import { visible } from './visible.ts';

export interface Polled<T> {
  /** The last answer; undefined until the first one. */
  readonly value: T | undefined;
  /** Why the last read failed. */
  readonly trouble: Trouble | undefined;
  /** Reads at once. */
  readonly readNow: () => void;
}

/** @param every milliseconds between reads @param keys the reading starts again when one of them changes */
export function usePolled<T>(
  read: () => Promise<T>,
  every: number,
  keys: readonly unknown[] = [],
): Polled<T> {
  const [value, setValue] = useState<T>();
  const [trouble, setTrouble] = useState<Trouble>();
  const readNow = useRef(() => {});
  useEffect(() => {
    let turn = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      const mine = ++turn;
      clearTimeout(timer);
      await visible();
      const found = await read().then(
        (answer) => ({ answer }),
        (error: unknown) => ({ trouble: troubleOf(error) }),
      );
      if (mine !== turn) return;
      if ('answer' in found) setValue(() => found.answer);
      setTrouble('trouble' in found ? found.trouble : undefined);
      timer = setTimeout(() => void look(), every);
    };
    readNow.current = () => void look();
    void look();
    return () => {
      turn = -1;
      clearTimeout(timer);
    };
  }, keys);
  return { value, trouble, readNow: () => readNow.current() };
}
