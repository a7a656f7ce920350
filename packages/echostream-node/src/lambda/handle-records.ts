/**
 * Handles the records of one event: groups concurrently within the number of slots, and each group in order. After a failure,
 * the rest of its group is not started, so that it is delivered again in order.
 */

import type { Slots } from '../receiving/slots.ts';

export interface Entry {
  readonly id: string;
  /** The queue and the group. Entries with the same key keep their order. */
  readonly key: string;
}

export interface Failures {
  /** The ids of unhandled messages, in the order of the event. */
  readonly ids: readonly string[];
  readonly errors: readonly unknown[];
}

/** `mayBegin` is false if no time is left, and after the first failure if that fails the whole event. */
export async function handleRecords<T extends Entry>(
  entries: readonly T[],
  slots: Slots,
  handle: (entry: T) => Promise<unknown>,
  mayBegin: (errors: readonly unknown[]) => boolean,
): Promise<Failures> {
  const groups = Map.groupBy(entries, ({ key }) => key);
  const handled = new Set<T>();
  const errors: unknown[] = [];
  const handleGroup = async (group: readonly T[]): Promise<void> => {
    for (const entry of group) {
      await slots.take();
      try {
        if (!mayBegin(errors)) return;
        await handle(entry);
        handled.add(entry);
      } catch (error) {
        errors.push(error);
        return;
      } finally {
        slots.give();
      }
    }
  };
  await Promise.all([...groups.values()].map(handleGroup));
  return { ids: entries.filter((entry) => !handled.has(entry)).map(({ id }) => id), errors };
}
