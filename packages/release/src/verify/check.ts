/** What `verify` found out about one thing. */

export interface Check {
  readonly what: string;
  readonly state: 'good' | 'bad' | 'warning' | 'unknown';
  /** Why it is not good, and what to do. */
  readonly why?: string;
}

export const good = (what: string): Check => ({ what, state: 'good' });
export const bad = (what: string, why: string): Check => ({ what, state: 'bad', why });
/** It keeps no release from working, and a release may be the cure. */
export const warning = (what: string, why: string): Check => ({ what, state: 'warning', why });
/** AWS did not say, mostly for lack of a right. */
export const unknown = (what: string, why: string): Check => ({ what, state: 'unknown', why });
