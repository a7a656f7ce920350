/** The routes about the containers of this host. */

import type { Static } from 'typebox';
import { capacityOf } from '../../container/capacity.ts';
import { type AnyEvent, isOfHealth, MISSED } from '../../container/events.ts';
import { isNamed } from '../../container/tracker.ts';
import type { ContainerView } from '../../container/view.ts';
import { resourceUse } from '../../docker-engine/resource-use.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { readMemory } from '../../host/memory.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { lastKnown, type Sent } from './event-stream.ts';
import type { Routes } from './routes.ts';
import {
  ById,
  Capacity,
  Container,
  Containers,
  EventsHeaders,
  EventsQuery,
  type Given,
  ListQuery,
  Receipt,
} from './schemas.ts';
import { ResourceUse } from './use-schemas.ts';

const MOST = 100;

/** @param closing aborts when the server closes; streams end then */
export function addContainerRoutes(routes: Routes, gate: Gate<Hosting>, closing: AbortSignal): void {
  routes.add('GET', '/containers', {
    summary: 'List the containers, oldest first',
    query: ListQuery,
    answer: Containers,
    write,
    handle: async ({ query }) => {
      const { tracker } = gate.check();
      const views = tracker.list().map(({ view }) => view);
      return { ...list(views, query), lastEvent: tracker.host.events.newest };
    },
  });
  routes.add('GET', '/containers/:id', {
    summary: 'Describe one container',
    params: ById,
    answer: Container,
    handle: async ({ params }) => gate.check().tracker.named(params.id).view,
  });
  routes.add('POST', '/containers/:id/stop', {
    summary: 'Stop a container, and return its receipt once everything is released',
    description:
      "The program gets SIGTERM, and SIGKILL after ten seconds. The service then saves the user's files, which can take long if S3 is slow. The stop continues even if you do not wait for the answer.",
    params: ById,
    answer: Receipt,
    handle: ({ params }) =>
      gate.pass(async ({ tracker }) => {
        const container = tracker.named(params.id);
        await container.stop({ code: 'operator', text: 'an operator stopped it' });
        return await tracker.host.receipts.find(container.id);
      }),
  });
  routes.add('GET', '/containers/:id/receipt', {
    summary:
      'Get the receipt of a container: its states, why it ended, and how each of its resources was released',
    description:
      'Receipts of at least the last thousand ended containers are kept. The receipt of a container that has not ended shows its history so far.',
    params: ById,
    answer: Receipt,
    handle: async ({ params }) => {
      const { tracker } = gate.check();
      const { receipts } = tracker.host;
      const isHosted = tracker.list().some((container) => isNamed(container, params.id));
      return await receipts.find(isHosted ? tracker.named(params.id).id : params.id);
    },
  });
  routes.add('GET', '/containers/:id/use', {
    summary: 'Get the resource use and the limits of a running container',
    params: ById,
    answer: ResourceUse,
    handle: async ({ params }) => {
      const { tracker } = gate.check();
      const { id, dockerId, view } = tracker.named(params.id);
      if (!dockerId || view.state === 'created') throw new ServiceError('container.not_running', { id });
      return await resourceUse(tracker.host.docker, dockerId);
    },
  });
  routes.add('GET', '/capacity', {
    summary: 'Get how many more containers have room, and which resource runs out first',
    answer: Capacity,
    handle: async () => {
      const { tracker } = gate.check();
      const views = tracker.list().map(({ view }) => view);
      const capacity = capacityOf(tracker.host, await readMemory(), views);
      return tracker.isOpen ? capacity : { ...capacity, fits: 0 };
    },
  });
  routes.stream('/events', closing, {
    summary: 'Follow what happens to containers, and to this host, as server-sent events',
    description:
      'An event `container` is a change of state, and an event `health` a change of health. The data of both is an Event. An event `notice` reports a notice of EC2 about this host; its data is a NoticeEvent. An event `missed` says that some events are no longer kept: list the containers, then continue.',
    headers: EventsHeaders,
    query: EventsQuery,
    handle: ({ query, headers }, signal) => {
      const { events } = gate.check().tracker.host;
      return asSent(events.followAll(lastKnown(headers, query.after), signal));
    },
  });
}

async function* asSent(events: AsyncIterable<AnyEvent | typeof MISSED>): AsyncGenerator<Sent> {
  for await (const event of events) {
    if (event === MISSED) yield { event: 'missed', data: {} };
    else yield { event: nameOf(event), id: event.id, data: event };
  }
}

function nameOf(event: AnyEvent): 'notice' | 'health' | 'container' {
  return 'notice' in event ? 'notice' : isOfHealth(event) ? 'health' : 'container';
}

/** Sorts containers by the time at which they began, and those of the same millisecond by id. */
function placeOf({ began, id }: ContainerView): string {
  return `${began}_${id}`;
}

function isBefore(a: ContainerView, b: ContainerView): boolean {
  return a.began === b.began ? a.id < b.id : a.began < b.began;
}

function list(views: readonly ContainerView[], { state, app, claimed, limit = MOST, after = '' }: ListQuery) {
  const fitting = views
    .filter((view) => (state ?? view.state) === view.state)
    .filter((view) => (app ?? view.app) === view.app)
    .filter((view) => (claimed ?? view.claimed) === view.claimed)
    .filter((view) => after === '' || placeOf(view) > after)
    .sort((a, b) => (isBefore(a, b) ? -1 : 1));
  const containers = fitting.slice(0, limit);
  const last = containers.at(-1);
  return { containers, ...(last && fitting.length > limit && { next: placeOf(last) }) };
}

/** Caches the JSON of a view, because each change creates a new view object. */
const TEXTS = new WeakMap<object, string>();

function write({ containers, next, lastEvent }: Given<Static<typeof Containers>>): string {
  const texts = containers.map((view) => {
    const text = TEXTS.get(view) ?? JSON.stringify(view);
    TEXTS.set(view, text);
    return text;
  });
  return `{"containers":[${texts.join(',')}],${JSON.stringify({ next, lastEvent }).slice(1)}`;
}
