/** A weekly range of time in which updates of nodes may run. All times are UTC, so that no hour is missing or comes twice. */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const WINDOW = /^(?:(\S+) +)?(\d\d):(\d\d)-(\d\d):(\d\d)$/;

export interface UpdateWindow {
  /**
   * @param now milliseconds
   * @returns when the window opens next, in milliseconds; undefined if it is open
   */
  opensAt(now: number): number | undefined;
}

/**
 * Parses a range such as `02:00-04:30` or `Sat,Sun 22:00-02:00`. A range that crosses midnight belongs to the day on
 * which it begins.
 */
export function updateWindow(text: string): UpdateWindow | undefined {
  if (text === 'none') return undefined;
  const bad = new Error(
    `must be a range in UTC such as 02:00-04:30, Mon-Fri 02:00-04:30 or Sat,Sun 22:00-02:00, or none; got "${text}"`,
  );
  const [, days = 'Sun-Sat', ...numbers] = WINDOW.exec(text) ?? [];
  const [fromHour = 24, fromMinute = 0, toHour = 24, toMinute = 0] = numbers.map(Number);
  if (fromHour > 23 || toHour > 23 || fromMinute > 59 || toMinute > 59) throw bad;
  const begin = (fromHour * 60 + fromMinute) * MINUTE;
  const length = (toHour * 60 + toMinute) * MINUTE - begin;
  if (length === 0) throw bad;
  const on = daysIn(days);
  if (!on) throw bad;
  return { opensAt: (now) => opening(now, on, begin, length < 0 ? length + DAY : length) };
}

/** @returns the numbers of the days, as JavaScript counts them */
function daysIn(text: string): ReadonlySet<number> | undefined {
  const numbers = text.split(',').flatMap((part) => {
    const [first = -1, last = first, ...others] = part.split('-').map((day) => DAYS.indexOf(day));
    if (first === -1 || last === -1 || others.length > 0) return [-1];
    const count = ((last - first + 7) % 7) + 1;
    return Array.from({ length: count }, (_, i) => (first + i) % 7);
  });
  return numbers.includes(-1) ? undefined : new Set(numbers);
}

function opening(now: number, on: ReadonlySet<number>, begin: number, length: number): number | undefined {
  const midnight = Math.floor(now / DAY) * DAY;
  const begins = Array.from({ length: 9 }, (_, i) => midnight + (i - 1) * DAY)
    .filter((day) => on.has(new Date(day).getUTCDay()))
    .map((day) => day + begin);
  if (begins.some((time) => time <= now && now < time + length)) return undefined;
  return begins.find((time) => time > now);
}
