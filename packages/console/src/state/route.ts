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

/** Changes one parameter of the current page in its address. An empty value removes the parameter. */
export function refine(page: string, query: URLSearchParams, name: string, value: string): void {
  const next = new URLSearchParams(query);
  if (value === '') next.delete(name);
  else next.set(name, value);
  rename(`#/${page}${next.size > 0 ? `?${next}` : ''}`);
  route.value = routeOf(location.hash);
}

export function go(hash: string): void {
  location.hash = hash;
}
