/**
 * The console's copy of the host's state. It is read once and then kept up to date by the event stream. If the stream
 * breaks, the console says so and reconnects. After that, everything is read again, because events may be missing.
 */

import { batch, signal } from '@preact/signals';
import { messagesOf, type Schemas } from 'ecs-host-service-api-client';
import { answerTo, api, type Capacity, type Container, type Host, type Trouble, troubleOf } from './api.ts';
import { readNodes } from './nodes.ts';
import { lookWho } from './session.ts';
import { untilHidden, visible } from './visible.ts';

type ContainerEvent = Schemas['Event'];
type NoticeEvent = Schemas['NoticeEvent'];
export interface Seen {
  readonly id: string;
  readonly kind: 'container' | 'health' | 'notice' | 'missed';
  readonly at: string;
  readonly code: string;
  readonly cause: string;
  readonly from?: string | undefined;
  readonly container?: Container;
}

export const containers = signal<ReadonlyMap<string, Container>>(new Map());
export const capacity = signal<Capacity | undefined>(undefined);
export const host = signal<Host | undefined>(undefined);
/** The newest event is last. */
export const events = signal<readonly Seen[]>([]);
export const line = signal<'connecting' | 'live' | 'lost'>('connecting');
export const isLoaded = signal(false);
export const trouble = signal<Trouble | undefined>(undefined);

/** The number of events that are kept. */
const MOST_EVENTS = 1000;
/**
 * Milliseconds without data after which the stream counts as lost (the service sends a sign of life every 15 s),
 * between attempts, and before the capacity is read again.
 */
const SILENCE = 40_000;
const PAUSE = 2000;
const SETTLE = 300;

/** The page's position in the stream. */
interface Place {
  last: string | undefined;
}

/** Follows the event stream until the signal aborts. */
export async function follow(signal: AbortSignal): Promise<void> {
  const place: Place = { last: undefined };
  line.value = 'connecting';
  while (!signal.aborted) {
    await visible();
    try {
      await followOnce(signal, place);
    } catch (error) {
      const seen = troubleOf(error);
      // The sign-in page is shown instead.
      trouble.value = [401, 429].includes(seen.status) ? undefined : seen;
    }
    if (signal.aborted) return;
    if (document.hidden) {
      line.value = 'connecting';
      continue;
    }
    line.value = 'lost';
    if ((await lookWho()) === false) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function followOnce(signal: AbortSignal, place: Place): Promise<void> {
  const silent = new AbortController();
  using hidden = untilHidden();
  const ended = AbortSignal.any([signal, silent.signal, hidden.signal]);
  let timer = setTimeout(() => silent.abort(), SILENCE);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE);
  };
  try {
    const listed = await readContainers();
    // The table comes first, because the requests below compete with it for the processor.
    await painted();
    const query = { after: place.last ?? listed };
    const call = api.GET('/v1/events', { params: { query }, parseAs: 'stream', signal: ended });
    const [body] = await Promise.all([
      answerTo(call as never) as Promise<ReadableStream<Uint8Array>>,
      readHost(),
      readNodes().catch(() => {}),
    ]);
    line.value = 'live';
    const watched = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          heard();
          controller.enqueue(chunk);
        },
      }),
    );
    const reader = messagesOf(watched).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      place.last = value.id ?? place.last;
      take(value.event ?? '', value.data);
    }
  } catch (error) {
    if (!ended.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until the browser has painted the current content. It does not paint a page in the background. */
async function painted(): Promise<void> {
  if (!document.hidden) await new Promise((resolve) => requestAnimationFrame(resolve));
  await new Promise((resolve) => setTimeout(resolve));
}

let waiting: (() => void)[] = [];

/** Collects changes and applies all changes of a frame at once. */
function soon(change: () => void): void {
  waiting.push(change);
  if (waiting.length > 1) return;
  const flush = () => {
    const changes = waiting;
    waiting = [];
    batch(() => {
      for (const one of changes) one();
    });
  };
  // A page in the background gets no frames.
  if (document.hidden) setTimeout(flush);
  else requestAnimationFrame(flush);
}

function take(kind: string, data: string): void {
  if (kind === 'missed') {
    const seen: Seen = {
      id: `missed-${Date.now()}`,
      kind: 'missed',
      at: new Date().toISOString(),
      code: 'missed',
      cause: 'Some events are no longer kept. The list of containers was read again.',
    };
    soon(() => add(seen));
    void readContainers().catch(() => {});
    readSoon();
  } else if (kind === 'notice') {
    const { id, at, code, cause }: NoticeEvent = JSON.parse(data);
    soon(() => add({ id, kind: 'notice', at, code, cause }));
    readSoon();
  } else if (kind === 'container' || kind === 'health') {
    const { id, at, from, code, cause, container }: ContainerEvent = JSON.parse(data);
    soon(() => {
      add({ id, kind, at, code, cause, from, container });
      const next = new Map(containers.value);
      if (container.state === 'gone') next.delete(container.id);
      else next.set(container.id, container);
      containers.value = next;
    });
    readSoon();
  }
}

function add(seen: Seen): void {
  if (events.value.some(({ id }) => id === seen.id)) return;
  events.value = [...events.value, seen].slice(-MOST_EVENTS);
}

let reading = false;

function readSoon(): void {
  if (reading) return;
  reading = true;
  setTimeout(() => {
    reading = false;
    void readHost().catch(() => {});
  }, SETTLE);
}

async function readHost(): Promise<void> {
  const [room, described] = await Promise.all([
    answerTo(api.GET('/v1/capacity')),
    answerTo(api.GET('/v1/host')),
  ]);
  batch(() => {
    capacity.value = room;
    host.value = described;
  });
}

/**
 * @returns the id of the newest event that all pages contain
 * @throws an error that `troubleOf` can describe
 */
async function readContainers(): Promise<string> {
  const found = new Map<string, Container>();
  let after: string | undefined;
  let lastEvent = '';
  do {
    const query = { limit: 1000, ...(after !== undefined && { after }) };
    const page = await answerTo(api.GET('/v1/containers', { params: { query } }));
    for (const one of page.containers) if (one.state !== 'gone') found.set(one.id, one);
    if (after === undefined) ({ lastEvent } = page);
    after = page.next;
  } while (after !== undefined);
  batch(() => {
    containers.value = found;
    isLoaded.value = true;
    trouble.value = undefined;
  });
  return lastEvent;
}
