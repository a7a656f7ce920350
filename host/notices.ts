/**
 * What EC2 says of a host that it will take away, or work on: where it says it, and how that is read. Source: Amazon EC2
 * User Guide, "Spot Instance interruption notices", "Rebalance recommendations", "Scheduled events"; Amazon EC2 Auto Scaling
 * User Guide, "Retrieve the target lifecycle state through instance metadata".
 */

import { isRecord } from '../parsing/json.ts';
import { momentOf } from '../parsing/moment.ts';

export const NOTICE_KINDS = ['spot', 'rebalance', 'scale-in', 'maintenance'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

export interface Notice {
  readonly kind: NoticeKind;
  /** Tells it from others of its kind. */
  readonly id: string;
  /** What is to happen, such as `terminate` or `system-reboot`. */
  readonly what: string;
  /** When, in milliseconds since 1970 by EC2's clock; undefined: EC2 does not say. */
  readonly at: number | undefined;
}

/** What tells it from all others. */
export function keyOf({ kind, id }: Notice): string {
  return `${kind} ${id}`;
}

/** What the service does about one. `end`: it stops in time. `drain`: it takes no more containers. `tell`: nothing else. */
export const NOTICE_ACTIONS = ['end', 'drain', 'tell'] as const;
export type NoticeAction = (typeof NOTICE_ACTIONS)[number];

/** What became of one, for programs: these words stay. */
export const NOTICE_CODES = ['notice', 'notice-changed', 'notice-withdrawn'] as const;
export type NoticeCode = (typeof NOTICE_CODES)[number];

/** One as operators see it. */
export interface NoticeView {
  readonly kind: NoticeKind;
  readonly what: string;
  /** ISO 8601, by EC2's clock; left out where EC2 does not say when. */
  readonly at?: string;
  /** ISO 8601: when it was first seen. */
  readonly since: string;
  readonly action: NoticeAction;
}

/** What the metadata of an instance have it under. */
export const PATHS: Readonly<Record<NoticeKind, string>> = {
  spot: 'spot/instance-action',
  rebalance: 'events/recommendations/rebalance',
  'scale-in': 'autoscaling/target-lifecycle-state',
  maintenance: 'events/maintenance/scheduled',
};

/** Maintenance events that are looked at. */
const MOST = 20;

/** @throws Error that says what is wrong with the text */
export function readNotices(kind: NoticeKind, text: string): Notice[] {
  if (kind === 'scale-in') return lifecycle(text);
  const parsed = parse(text);
  if (kind === 'maintenance') return maintenance(parsed);
  if (!isRecord(parsed)) throw new Error('it is not a JSON object');
  if (kind === 'rebalance') return [{ kind, id: kind, what: 'rebalance', at: undefined }];
  const { action, time } = parsed;
  if (!isWord(action)) throw new Error('it has no action');
  return [{ kind, id: kind, what: action, at: momentOf(time) }];
}

/** As `Terminated`, or `Warmed:Terminated` of a warm pool. */
function lifecycle(text: string): Notice[] {
  if (!isWord(text)) throw new Error('it is not a state');
  const isTerminated = /^(Warmed:)?Terminated$/.test(text);
  return isTerminated ? [{ kind: 'scale-in', id: 'scale-in', what: 'terminate', at: undefined }] : [];
}

function maintenance(parsed: unknown): Notice[] {
  if (!Array.isArray(parsed)) throw new Error('it is not a JSON array');
  return parsed.slice(0, MOST).flatMap((event: unknown): Notice[] => {
    if (!isRecord(event)) throw new Error('one of its events is not a JSON object');
    const { EventId: id, Code: what, State: state, NotBefore: from } = event;
    if (state !== 'active') return [];
    if (!isWord(id) || !isWord(what)) throw new Error('one of its events has no id or no code');
    return [{ kind: 'maintenance', id, what, at: momentOf(from) }];
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
}

/** Nothing that could write anything else into a line of the log. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\w:.-]{1,100}$/.test(value);
}
