/** The session of the user who is signed in. */

import { computed, signal } from '@preact/signals';
import { api, askSession, type Kind, troubleOf } from './api.ts';

export type Session =
  | { readonly state: 'unknown' }
  | { readonly state: 'out'; readonly why?: string }
  | { readonly state: 'in'; readonly kind: Kind };

export const session = signal<Session>({ state: 'unknown' });
export const isOut = computed(() => session.value.state === 'out');
export const mayAct = computed(() => session.value.state === 'in' && session.value.kind !== 'viewer');

/**
 * Asks the service who is signed in.
 * @returns whether a user is signed in; undefined when the service does not answer
 */
export async function lookWho(): Promise<boolean | undefined> {
  const before = session.value;
  try {
    const { kind } = await askSession('session');
    if (kind === undefined) return undefined;
    if (session.value.state !== 'in' || session.value.kind !== kind) session.value = { state: 'in', kind };
    return true;
  } catch (error) {
    const { status } = troubleOf(error);
    // 429: this address has sent many requests without a session. A valid one is always accepted.
    if (![401, 403, 429].includes(status)) return undefined;
    // The session has changed since this was asked, for example by a sign-in.
    if (session.value !== before) return session.value.state === 'in';
    if (before.state === 'in')
      session.value = { state: 'out', why: 'Your session has ended. Sign in again to continue.' };
    else if (before.state === 'unknown') session.value = { state: 'out' };
    return false;
  }
}

// A call that is refused is the first to know that the session has ended.
api.use({
  onResponse: ({ response: { status } }) => {
    if (status === 401) void lookWho();
  },
});

/** @throws an error that `troubleOf` can describe */
export async function signIn(token: string): Promise<void> {
  const { kind } = await askSession('session', { token });
  if (kind !== undefined) session.value = { state: 'in', kind };
}

export async function signOut(): Promise<void> {
  try {
    await askSession('sign-out', {});
    session.value = { state: 'out', why: 'You have signed out.' };
  } catch {
    session.value = {
      state: 'out',
      why: 'The service did not confirm that you have signed out. The session ends by itself within 12 hours, and when the token is replaced.',
    };
  }
}
