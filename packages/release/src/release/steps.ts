/** The steps of a release as data, in their order. Pure. */

import type { RecordedTrigger, ReleaseRecord } from '../record/release-record.ts';
import {
  isSameCapacity,
  type ServiceChange,
  SUSPENDED,
  type Suspension,
  shortName,
  type Trigger,
} from './cloud.ts';
import type { OneOff } from './one-off.ts';
import { isSameTrigger } from './trigger-settings.ts';

export type Step =
  | { readonly do: 'suspend scaling'; readonly services: readonly Scaling[] }
  | { readonly do: 'run task'; readonly task: OneOff; readonly when: 'before' | 'after' }
  | { readonly do: 'roll out'; readonly services: readonly ServiceChange[] }
  | { readonly do: 'wait until old tasks are gone'; readonly services: readonly ServiceChange[] }
  | { readonly do: 'move triggers'; readonly triggers: readonly Trigger[] }
  | { readonly do: 'resume scaling'; readonly services: readonly Scaling[] };

/** The automatic scaling that the step gives a service. */
interface Scaling {
  readonly service: string;
  readonly to: Suspension;
}

export interface Tasks {
  readonly before: readonly OneOff[];
  readonly after: readonly OneOff[];
}

/** @returns only the steps that change something, or wait for a change */
export function stepsOf({ services, triggers }: ReleaseRecord, { before, after }: Tasks): readonly Step[] {
  const changed = services.filter((one) => isChange(one.before, one.after));
  const [gates, others] = [changed.filter(({ isGate }) => isGate), changed.filter(({ isGate }) => !isGate)];
  const changes = (some: readonly { readonly after: ServiceChange }[]) => some.map((one) => one.after);
  const scaled = services.flatMap(({ service, scaling }) => (scaling ? [{ service, to: scaling }] : []));
  const suspended = scaled.map((one) => ({ ...one, to: SUSPENDED }));
  const steps: readonly Step[] = [
    { do: 'suspend scaling', services: suspended },
    ...before.map((task) => ({ do: 'run task', task, when: 'before' }) as const),
    { do: 'roll out', services: changes(gates) },
    { do: 'roll out', services: changes(others) },
    { do: 'wait until old tasks are gone', services: changes(changed) },
    ...after.map((task) => ({ do: 'run task', task, when: 'after' }) as const),
    ...byPlace(triggers).map((some) => ({ do: 'move triggers', triggers: some }) as const),
    { do: 'resume scaling', services: scaled },
  ];
  return steps.filter((step) => !('services' in step) || step.services.length > 0);
}

function isChange(before: ServiceChange, after: ServiceChange): boolean {
  return (
    after.force === true ||
    before.taskDefinition !== after.taskDefinition ||
    after.desired !== before.desired ||
    !isSameCapacity(after.capacity, before.capacity)
  );
}

/** Groups triggers, because one call updates all targets of a rule. */
function byPlace(triggers: readonly RecordedTrigger[]): readonly (readonly Trigger[])[] {
  const moved = triggers.filter(({ before, after }) => !isSameTrigger(before, after));
  const places = Map.groupBy(moved, ({ after }) => placeOf(after));
  return [...places.values()].map((some) => some.map(({ after }) => after));
}

/** Identifies triggers that are moved together: the targets of a rule, or one schedule. */
export function placeOf({ kind, place, id }: Trigger): string {
  return kind === 'rule' ? `rule ${place}` : `schedule ${place}/${id}`;
}

export function describeStep(step: Step): string {
  switch (step.do) {
    case 'run task':
      return `run the task ${step.task.name} (${shortName(step.task.taskDefinition)}) ${step.when} the services`;
    case 'roll out':
      return `roll out ${step.services.map((one) => `${one.service} (${shortName(one.taskDefinition)})`).join(', ')}`;
    case 'wait until old tasks are gone':
      return 'wait until the old tasks are gone';
    case 'move triggers':
      return step.triggers
        .map((one) => `point ${placeOf(one)} at ${shortName(one.taskDefinition)}`)
        .join(', ');
    default:
      return `${step.do} of ${step.services.map(({ service }) => service).join(', ')}`;
  }
}
