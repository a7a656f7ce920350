/** Filters and sorts the containers of the table. */

import type { Container } from '../state/api.ts';

export const COLUMNS = {
  id: ({ id }: Container) => id,
  app: ({ app }: Container) => app,
  state: ({ state }: Container) => state,
  role: ({ role }: Container) => role,
  port: ({ port = 0 }: Container) => port,
  tty: ({ tty = 0 }: Container) => tty,
  health: (one: Container) => healthOf(one),
  since: ({ since }: Container) => since,
  began: ({ began }: Container) => began,
} as const;
export type Column = keyof typeof COLUMNS;

export function healthOf({ health }: Container): string {
  return health?.docker ?? health?.port ?? '';
}

/** @param words a row matches if it contains all of them */
export function isFitting(one: Container, state: string, words: string): boolean {
  if (state !== '' && one.state !== state) return false;
  const text = [one.id, one.docker, one.app, one.state, one.role, one.port, one.task, healthOf(one)]
    .join(' ')
    .toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function sorted(all: readonly Container[], column: Column, isDown: boolean): readonly Container[] {
  const key = COLUMNS[column];
  const sign = isDown ? -1 : 1;
  return [...all].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === y) return a.id < b.id ? -1 : 1;
    return x < y ? -sign : sign;
  });
}
