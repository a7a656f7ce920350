/**
 * An operator: sends requests to a service's API on its unix socket, and checks that each answer matches the API's document.
 */

import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { Static, TSchema } from 'typebox';
import { type ContainerEvent, isOfHealth } from '../../container/events.ts';
import { Created } from '../../httpserver/v1/create-schemas.ts';
import { Diagnosis } from '../../httpserver/v1/diagnosis-schemas.ts';
import { History } from '../../httpserver/v1/history-schemas.ts';
import {
  Node,
  NodeEvents,
  NodeLock,
  NodePlan,
  NodeReceipts,
  Nodes,
} from '../../httpserver/v1/node-schemas.ts';
import { NoticeEvent } from '../../httpserver/v1/notice-schemas.ts';
import { Pool, Pools } from '../../httpserver/v1/pool-schemas.ts';
import {
  Agent,
  Capacity,
  Container,
  Containers,
  Document,
  Draining,
  Event,
  Host,
  Problem,
  Receipt,
} from '../../httpserver/v1/schemas.ts';
import { Terminal, Terminals } from '../../httpserver/v1/terminal-schemas.ts';
import { ResourceUse } from '../../httpserver/v1/use-schemas.ts';
import { UserConfig } from '../../httpserver/v1/user-config-routes.ts';
import { misfit } from '../../parsing/json.ts';

type Headers = Readonly<Record<string, string>>;

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: what it must be is for the test to say
  readonly body: any;
}

/** The answer of a path. */
const ANSWERS: readonly (readonly [RegExp, TSchema])[] = [
  [/^GET \/v1\/containers(\?.*)?$/, Containers],
  [/^GET \/v1\/containers\/\w+$/, Container],
  [/^POST \/v1\/containers(\?dryRun=false)?$/, Created],
  [/^POST \/v1\/containers\?dryRun=true$/, Capacity],
  [/^PUT \/v1\/containers\/\w+\/(start-values|config-token)$/, Container],
  [/^POST \/v1\/containers\/\w+\/stop$/, Receipt],
  [/^GET \/v1\/containers\/\w+\/receipt$/, Receipt],
  [/^(GET|PUT) \/v1\/containers\/\w+\/user-config$/, UserConfig],
  [/^GET \/v1\/containers\/\w+\/use$/, ResourceUse],
  [/^GET \/v1\/capacity$/, Capacity],
  [/^GET \/v1\/history$/, History],
  [/^GET \/v1\/diagnosis$/, Diagnosis],
  [/^GET \/v1\/host$/, Host],
  [/^GET \/v1\/agent$/, Agent],
  [/^GET \/v1\/openapi.json$/, Document],
  [/^GET \/v1\/terminals$/, Terminals],
  [/^POST \/v1\/terminals\/\w+\/end$/, Terminal],
  [/^PUT \/v1\/drain$/, Draining],
  [/^GET \/v1\/pools$/, Pools],
  [/^(GET|PUT|DELETE) \/v1\/pools\/[\w-]+$/, Pool],
  [/^GET \/v1\/nodes$/, Nodes],
  [/^(GET|POST) \/v1\/nodes\/plan$/, NodePlan],
  [/^GET \/v1\/nodes\/events(\?.*)?$/, NodeEvents],
  [/^PUT \/v1\/nodes\/lock$/, NodeLock],
  [/^GET \/v1\/nodes\/[\w-]+\/receipts$/, NodeReceipts],
  [/^(GET|POST) \/v1\/nodes\/[\w-]+(\/restart)?$/, Node],
];

/** @throws if it does not match the document of its path */
export function assertKept(method: string, path: string, status: number, body: unknown): void {
  const promised = ANSWERS.find(([one]) => one.test(`${method} ${path}`))?.[1];
  const schema = status >= 400 ? Problem : promised;
  assert.ok(schema, `${method} ${path} answered ${status}`);
  assert.equal(misfit(schema, body), undefined, JSON.stringify(body));
}

export class Operator {
  readonly #socketPath: string;

  constructor(root: string) {
    this.#socketPath = join(root, 'run/ecs-host-service/api.sock');
  }

  get(path: string): Promise<Answer> {
    return this.ask('GET', path);
  }

  async ask(method: string, path: string, sent?: unknown, added: Headers = {}): Promise<Answer> {
    const response = await this.#open(method, path, added, sent === undefined ? '' : JSON.stringify(sent));
    const body: unknown = JSON.parse(await text(response));
    const { statusCode: status = 0, headers } = response;
    assertKept(method, path, status, body);
    return { status, type: headers['content-type'] ?? '', headers, body };
  }

  async #open(method: string, path: string, headers: Headers = {}, body = ''): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const socketPath = this.#socketPath;
    request({ socketPath, method, path, headers, agent: false }, resolve).on('error', reject).end(body);
    return await promise;
  }

  /** Follows events. @param after the id of the last known one */
  async follow(after?: string): Promise<Follower> {
    const response = await this.#open(
      'GET',
      '/v1/events',
      after === undefined ? {} : { 'last-event-id': after },
    );
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'text/event-stream');
    return new Follower(response);
  }
}

/** Reads server-sent events. */
export class Follower implements Disposable {
  /** The events of this host that have arrived. */
  readonly notices: Static<typeof NoticeEvent>[] = [];
  readonly #response: IncomingMessage;
  readonly #events: AsyncGenerator<ContainerEvent | 'missed'>;

  constructor(response: IncomingMessage) {
    this.#response = response;
    this.#events = this.#read();
  }

  async *#read(): AsyncGenerator<ContainerEvent | 'missed'> {
    let fields: Record<string, string> = {};
    for await (const line of createInterface({ input: this.#response })) {
      const [, name = '', value = ''] = /^(\w+): (.*)$/.exec(line) ?? [];
      if (name) fields[name] = value;
      if (line !== '' || !fields.event) continue;
      if (fields.event === 'missed') yield 'missed';
      else if (fields.event === 'notice') this.#note(fields);
      else {
        const event = JSON.parse(fields.data ?? '');
        assert.equal(misfit(Event, event), undefined, fields.data);
        assert.equal(fields.event, isOfHealth(event) ? 'health' : 'container');
        assert.equal(event.id, fields.id);
        yield event;
      }
      fields = {};
    }
  }

  #note({ id, data = '' }: Record<string, string>): void {
    const event = JSON.parse(data);
    assert.equal(misfit(NoticeEvent, event), undefined, data);
    assert.equal(event.id, id);
    this.notices.push(event);
  }

  /** The next transition. @param takes selects those that are not skipped @returns undefined at the end of the stream */
  async next(
    takes = (event: ContainerEvent): boolean => !isOfHealth(event),
  ): Promise<ContainerEvent | 'missed' | undefined> {
    for (;;) {
      const { value, done } = await this.#events.next();
      if (done) return undefined;
      if (value === 'missed' || takes(value)) return value;
    }
  }

  /** Events up to the first that `fits`. */
  async until(
    fits: (event: ContainerEvent) => boolean,
    takes?: (event: ContainerEvent) => boolean,
  ): Promise<ContainerEvent[]> {
    const read: ContainerEvent[] = [];
    for (;;) {
      const event = await this.next(takes);
      assert.ok(event && event !== 'missed', `the stream continued with ${JSON.stringify(event)}`);
      read.push(event);
      if (fits(event)) return read;
    }
  }

  [Symbol.dispose](): void {
    this.#response.destroy();
  }
}
