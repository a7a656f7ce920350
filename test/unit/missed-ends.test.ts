import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { MissedEnds } from '../../ecs-agent-bridge/docker-proxy/missed-ends.ts';

const directory = mkdtempSync(join(tmpdir(), 'missed-ends-'));
const socket = join(directory, 'engine');
/** Everything until then was reported, in nanoseconds. */
const TOLD = 1_700_000_000_000_000_005n;
const signal = new AbortController().signal;

/** The Engine's answers, by path without version and query; a missing path gives 404. */
const answers = new Map<string, string>();
const asked: string[] = [];
let status = 200;
const engine = createServer(({ url = '' }, answer) => {
  asked.push(url);
  const body = answers.get(/^\/v1\.21([^?]*)/.exec(url)?.[1] ?? '');
  answer.writeHead(body === undefined ? 404 : status).end(body);
});

before(async () => {
  await once(engine.listen(socket), 'listening');
});
beforeEach(() => {
  answers.clear();
  asked.length = 0;
  status = 200;
});
after(() => {
  engine.close();
  rmSync(directory, { recursive: true });
});

function event(Action: string, ID: string, Attributes = {}): string {
  return `${JSON.stringify({ Type: 'container', Action, Actor: { ID, Attributes } })}\n`;
}

function list(...ids: string[]): void {
  answers.set('/containers/json', JSON.stringify(ids.map((Id) => ({ Id }))));
}

function ended(Id: string, FinishedAt: string, Running = false): void {
  const State = { Running, ExitCode: 3, FinishedAt };
  const found = { Id, Name: `/name-${Id}`, Config: { Image: 'an-image', Labels: null }, State };
  answers.set(`/containers/${Id}/json`, JSON.stringify(found));
}

const parsed = (events: string) =>
  events
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test('an end is reported unless Docker reports it itself or has forgotten the container', async () => {
  const ends = new MissedEnds(socket, '/v1.21');
  list('listed');
  assert.equal(await ends.find(TOLD, signal), '');
  ends.note(['known', 'living', 'gone', 'told'].map((id) => event('start', id)).join(''));
  ends.note(event('die', 'known') + event('exec_die', 'living', { Action: '"Action":"die"' }));
  list('living');
  answers.set('/events', event('die', 'told', { with: 'listed' }));
  ended('listed', '2026-11-29T20:14:19.245687964Z');
  const events = parsed(await ends.find(TOLD, signal));
  assert.deepEqual(events, [
    {
      status: 'die',
      id: 'listed',
      from: 'an-image',
      Type: 'container',
      Action: 'die',
      Actor: { ID: 'listed', Attributes: { exitCode: '3', image: 'an-image', name: 'name-listed' } },
      scope: 'local',
      time: 1795983259,
      timeNano: 1795983259245 * 1e6,
    },
  ]);
  const [, query = ''] = asked.find((path) => path.startsWith('/v1.21/events'))?.split('?') ?? [];
  assert.equal(new URLSearchParams(query).get('since'), '1700000000.000000006');
  assert.equal(await ends.find(TOLD, signal), '', 'once');
});

test('a container whose end Docker cannot date ended after the last reported event', async () => {
  const ends = new MissedEnds(socket, '/v1.21');
  ends.note(event('start', 'one'));
  list();
  answers.set('/events', '');
  ended('one', '0001-01-01T00:00:00Z');
  const [{ timeNano }] = parsed(await ends.find(TOLD, signal));
  assert.ok(BigInt(timeNano) > TOLD);
});

test('a container that runs again has not ended', async () => {
  const ends = new MissedEnds(socket, '/v1.21');
  ends.note(event('start', 'one'));
  list();
  answers.set('/events', '');
  ended('one', '2026-11-29T20:14:19Z', true);
  assert.equal(await ends.find(TOLD, signal), '');
});

test('while Docker does not answer nothing is reported, and missed ends are reported the next time', async () => {
  const ends = new MissedEnds(socket, '/v1.21');
  ends.note(event('start', 'one'));
  list();
  answers.set('/events', '');
  ended('one', '2026-11-29T20:14:19Z');
  status = 500;
  assert.equal(await ends.find(TOLD, signal), '');
  status = 200;
  assert.equal(parsed(await ends.find(TOLD, signal)).length, 1);
  const away = new MissedEnds('/nowhere', '');
  assert.equal(await away.find(TOLD, signal), '');
});
