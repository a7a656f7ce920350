/** The managed nodes of the host. Most hosts have none, and the console then hides their pages. */

import { signal } from '@preact/signals';
import type { Schemas } from 'ecs-host-service-api-client';
import { answerTo, api, troubleOf } from './api.ts';

export type Node = Schemas['Node'];
export type Nodes = Schemas['Nodes'];
export type PlannedStep = Schemas['NodePlan']['steps'][number];
export type NodeEvent = Schemas['NodeEvents']['events'][number];

/** undefined: the host has none, or they have not been read yet. */
export const nodes = signal<Nodes | undefined>(undefined);

/** @throws an error that `troubleOf` can describe */
export async function readNodes(): Promise<void> {
  try {
    nodes.value = await answerTo(api.GET('/v1/nodes'));
  } catch (error) {
    if (troubleOf(error).title !== 'node.none') throw error;
    nodes.value = undefined;
  }
}
