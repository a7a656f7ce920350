/**
 * The current page. It is kept in the address behind #, so that every page has a link, and none of it reaches the
 * server.
 */

import { signal } from '@preact/signals';
import { type Route, routeOf } from './address.ts';

export const route = signal<Route>(routeOf(location.hash));

addEventListener('hashchange', () => {
  route.value = routeOf(location.hash);
});

/** Changes the address without leaving the page. */
export function rename(hash: string): void {
  history.replaceState(null, '', hash);
}

export function go(hash: string): void {
  location.hash = hash;
}
