/** Asks the registries for the digests that the wanted tags point to now. */

import { unlessAborted } from '../lifetime/deadline.ts';
import type { World } from './plan/world.ts';
import type { StepExecutor } from './step-executor.ts';

/**
 * @param world returns the present state, which changes while this runs
 * @returns whether there is any news
 */
export async function lookForMovedTags(
  executor: Pick<StepExecutor, 'currentDigests'>,
  world: () => World,
  signal: AbortSignal,
): Promise<boolean> {
  const { wanted, digests } = world();
  const before = new Map(digests);
  const found = await unlessAborted(executor.currentDigests([...wanted.images]), signal);
  const now = world().digests;
  // A digest that a pull has set in the meantime is newer.
  const isSetMeanwhile = (image: string) => now.get(image) !== before.get(image);
  const news = [...found].filter(([image, digest]) => !isSetMeanwhile(image) && digest !== before.get(image));
  for (const [image, digest] of news) now.set(image, digest);
  return news.length > 0;
}
