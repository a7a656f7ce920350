/**
 * EC2's notices that it will stop, replace or maintain this host: where they are in the metadata, and how to parse
 * them. Source: Amazon EC2 User Guide, "Spot Instance interruption notices", "Rebalance recommendations", "Scheduled
 * events"; Amazon EC2 Auto Scaling User Guide, "Retrieve the target lifecycle state through instance metadata".
 */

import { isRecord } from '../parsing/json.ts';
import { momentOf } from '../parsing/moment.ts';

export const NOTICE_KINDS = ['spot', 'rebalance', 'scale-in', 'maintenance'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

export interface Notice {
  readonly kind: NoticeKind;
  /** Distinguishes it from other notices of its kind. */
  readonly id: string;
  /** What EC2 will do, such as `terminate` or `system-reboot`. */
  readonly what: string;
  /** When, in milliseconds since 1970 by EC2's clock; undefined if EC2 gives no time. */
  readonly at: number | undefined;
}

/** Distinguishes a notice from all others. */
export function keyOf({ kind, id }: Notice): string {
  return `${kind} ${id}`;
}

/**
 * What the service does about a notice. `end`: it stops in time. `drain`: it accepts no new containers. `tell`: it only
 * reports the notice.
 */
export const NOTICE_ACTIONS = ['end', 'drain', 'tell'] as const;
export type NoticeAction = (typeof NOTICE_ACTIONS)[number];

/** What happened to a notice. Programs read these codes, so they must not change. */
export const NOTICE_CODES = ['notice', 'notice-changed', 'notice-withdrawn'] as const;
export type NoticeCode = (typeof NOTICE_CODES)[number];

/** A notice as operators see it. */
export interface NoticeView {
  readonly kind: NoticeKind;
  readonly what: string;
  /** ISO 8601, by EC2's clock; missing if EC2 gives no time. */
  readonly at?: string;
  /** ISO 8601: when it was first seen. */
  readonly since: string;
  readonly action: NoticeAction;
}

/** The paths in the instance metadata. */
export const PATHS: Readonly<Record<NoticeKind, string>> = {
  spot: 'spot/instance-action',
  rebalance: 'events/recommendations/rebalance',
  'scale-in': 'autoscaling/target-lifecycle-state',
  maintenance: 'events/maintenance/scheduled',
};

/** The maximum number of maintenance events that are read. */
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

/** The state is `Terminated`, or `Warmed:Terminated` in a warm pool. */
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

/** Refuses anything that could forge other content in a log line. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\w:.-]{1,100}$/.test(value);
}
