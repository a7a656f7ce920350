/** Time is a parameter, so that tests can simulate minutes in milliseconds. */

export interface Timers {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /**
   * Calls `action` once after `milliseconds`.
   * @returns a function that cancels the call
   */
  schedule(milliseconds: number, action: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  schedule: (milliseconds, action) => {
    const timer = setTimeout(action, Math.max(0, milliseconds));
    return () => clearTimeout(timer);
  },
};
