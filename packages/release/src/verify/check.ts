/** A finding of `verify` about one thing. */

export interface Check {
  readonly what: string;
  readonly state: 'good' | 'bad' | 'warning' | 'unknown';
  /** Why the state is not good, and what to do. */
  readonly why?: string;
}

export const good = (what: string): Check => ({ what, state: 'good' });
export const bad = (what: string, why: string): Check => ({ what, state: 'bad', why });
/** A warning does not prevent a release, and a release may even cure it. */
export const warning = (what: string, why: string): Check => ({ what, state: 'warning', why });
/** AWS gave no answer, usually because a right is missing. */
export const unknown = (what: string, why: string): Check => ({ what, state: 'unknown', why });
