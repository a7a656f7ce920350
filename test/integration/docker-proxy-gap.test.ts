/** What the ECS agent learns of containers that end while Docker is away. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { identify, kill } from '../../host/processes.ts';
import { IMAGE } from '../../scripts/image.ts';
import { AgentDriver, type Event, labelsOf, taskBody } from '../support/agent-driver.ts';
import { Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const LIVE_RESTORE = ['--live-restore'];

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** The events of containers that a client received. */
function told(events: readonly unknown[], dockerId: string): Event[] {
  return (events as Event[]).filter(
    ({ id, status }) => id === dockerId && ['start', 'die', 'destroy'].includes(status ?? ''),
  );
}

/** Parts that do not identify a container. */
function formOf(event: Event | undefined) {
  const { id: _id, time: _time, timeNano: _nano, Actor, ...rest } = event as Required<Event>;
  const { exitCode: _code, name: _name, ...attributes } = Actor.Attributes;
  return { ...rest, attributes };
}

for (const [how, words, signal] of [
  ['that is killed, with live-restore', LIVE_RESTORE, 'SIGKILL'],
  ['that is stopped, with live-restore', LIVE_RESTORE, 'SIGTERM'],
  ['that is killed', [], 'SIGKILL'],
  ['that is stopped', [], 'SIGTERM'],
] as const) {
  test(`ends of containers during a restart of a Docker ${how} are reported once, in Docker's form`, async () => {
    await host.stopDocker();
    await host.startDocker(words);
    const site = new Site(host);
    const service = await site.start();
    using agent = new AgentDriver(site.dockerProxy);
    const events = await agent.stream('/events');
    const make = async (name: string, body: unknown = { Image: IMAGE, Labels: labelsOf('sidecar') }) => {
      const dockerId = await agent.create(name, body);
      await agent.begin(dockerId);
      return dockerId;
    };
    const before = await make('before');
    await agent.stop(before);
    const living = await make('living');
    const ended = [await make('sidecar'), await make('task', taskBody(site.root))];
    const programs = await Promise.all(
      ended.map(async (id) => identify((await agent.inspect(id)).State.Pid) ?? assert.fail()),
    );
    const from = service.lines.length;
    await host.stopDocker(signal);
    if (words.length > 0) await kill(...programs);
    await host.startDocker(words);
    await service.message('Docker is back', from);
    const all = words.length > 0 ? ended : [...ended, living];
    for (const id of all) await until('its end is reported', () => told(events.objects, id).length > 1);
    if (words.length > 0) await agent.stop(living);
    // This event comes last, so no earlier one is missing.
    const last = await make('last');
    await until('the last event is reported', () => told(events.objects, last).length > 0);
    for (const id of [before, living, ...ended])
      assert.deepEqual(
        told(events.objects, id).map(({ status }) => status),
        ['start', 'die'],
      );
    const [, end] = told(events.objects, ended[0] as string);
    assert.deepEqual(formOf(end), formOf(told(events.objects, before)[1]));
    const { State } = await agent.inspect(ended[0] as string);
    assert.equal(end?.Actor?.Attributes.exitCode, String(State.ExitCode));
    await agent.stop(last);
    for (const id of [before, living, last, ...ended]) await agent.remove(id);
    assert.equal(await service.stop(), 0);
    rmSync(join(site.root, 'fractalCloudStorage'), { recursive: true, force: true });
  });
}
