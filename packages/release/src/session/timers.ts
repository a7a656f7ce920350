/** Time, as a parameter: tests play minutes in milliseconds. */

export interface Timers {
  /** Milliseconds that never go back. */
  now(): number;
  /** Calls `action` once after `milliseconds`. Returns what cancels it. */
  schedule(milliseconds: number, action: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  schedule: (milliseconds, action) => {
    const timer = setTimeout(action, Math.max(0, milliseconds));
    return () => clearTimeout(timer);
  },
};
