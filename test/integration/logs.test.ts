/** The output of containers, as operators read and follow it while they run, and what is kept of it. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import type { LogLine } from '../../docker-engine/log-lines.ts';
import { pathsBelow } from '../../host/paths.ts';
import { LogLine as Promised } from '../../httpserver/v1/log-routes.ts';
import { misfit } from '../../parsing/json.ts';
import { host as hostContainer } from '../support/callers.ts';
import { DockerCli, importShell, SHELL } from '../support/docker-cli.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { Operator } from '../support/operator.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const LABEL = ['--label', 'ecs-host-service.interactive=true'];
/** Waits for a file in `/`. */
const WAIT = 'w() { while [ ! -e /$1 ]; do sleep 0.02; done; }; w';
/** Exits on SIGTERM with a last line. */
const PATIENT = "trap 'echo last; exit 0' TERM; echo first; sleep 600 & wait";

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** The frames of a log stream. */
interface Sent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: LogLine & { readonly title?: string };
}

async function* eventsIn(response: IncomingMessage): AsyncGenerator<Sent> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const blocks = `${rest}${chunk}`.split('\n\n');
    rest = blocks.pop() as string;
    for (const block of blocks) {
      const [, event, , id, data] = /^event: (\w+)\n(id: (.*)\n)?data: (.*)$/.exec(block) ?? [];
      if (event === undefined) continue;
      const sent = { event, id, data: JSON.parse(data as string) };
      if (event === 'line') assert.equal(misfit(Promised, sent.data), undefined, data);
      yield sent;
    }
  }
}

/** A site, its running service, and its operators' view of logs. */
class Seen {
  readonly site: Site;
  readonly service: ServiceProcess;
  readonly operator: Operator;
  readonly logs: string;

  private constructor(site: Site, service: ServiceProcess) {
    this.site = site;
    this.service = service;
    this.operator = new Operator(site.root);
    this.logs = pathsBelow(site.root).logs;
  }

  static async begin(settings: Readonly<Record<string, string>> = {}): Promise<Seen> {
    const site = new Site(host, settings);
    return new Seen(site, await site.start());
  }

  /** Without a terminal, like any client of Docker. @returns docker id and container id */
  async run(program: string, ...words: string[]): Promise<{ dockerId: string; id: string }> {
    const all = [...LABEL, ...words, SHELL, 'sh', '-c', program];
    const dockerId = await new DockerCli(this.site.dockerProxy).ok('run', '-d', ...all);
    return { dockerId, id: await host.containerIdOf(dockerId) };
  }

  /** Makes a file in `/` of a container. */
  async touch(dockerId: string, file: string): Promise<void> {
    await new DockerCli(this.site.dockerProxy).ok('exec', dockerId, 'sh', '-c', `: > /${file}`);
  }

  open(name: string, query = '', headers: Readonly<Record<string, string>> = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const socketPath = pathsBelow(this.site.root).apiSocket;
    const path = `/v1/containers/${name}/logs${query}`;
    request({ socketPath, path, headers, agent: false }, resolve).on('error', reject).end();
    return promise;
  }

  async follow(name: string, query = '?follow=true'): Promise<AsyncGenerator<Sent>> {
    const response = await this.open(name, query);
    assert.deepEqual([response.statusCode, response.headers['content-type']], [200, 'text/event-stream']);
    return eventsIn(response);
  }

  /** All lines of a log that ends. */
  async read(name: string, query = '', headers: Readonly<Record<string, string>> = {}): Promise<Sent[]> {
    const all = await Array.fromAsync(eventsIn(await this.open(name, query, headers)));
    assert.equal(all.pop()?.event, 'end');
    return all;
  }

  async texts(name: string, query = ''): Promise<string[]> {
    return (await this.read(name, query)).map(({ data }) => data.text);
  }

  async end(...dockerIds: string[]): Promise<void> {
    for (const id of dockerIds) await host.docker.getContainer(id).remove({ force: true });
    assert.equal(await this.service.stop(), 0);
  }
}

async function nextOf(events: AsyncGenerator<Sent>): Promise<string> {
  const { value } = await events.next();
  return `${value?.event} ${value?.data.text ?? ''}`;
}

test('a log can be followed while it is written until its container ends, and is kept in the same form', async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(PATIENT);
  const events = await seen.follow(dockerId);
  assert.equal(await nextOf(events), 'line first');
  assert.deepEqual(await seen.texts(id), ['first'], 'a reader that does not follow does not wait');
  const stopped = seen.operator.ask('POST', `/v1/containers/${id}/stop`);
  assert.equal(await nextOf(events), 'line last');
  assert.equal(await nextOf(events), 'end ');
  assert.equal((await events.next()).done, true);
  await stopped;
  const kept = await seen.read(id.slice(0, 12));
  assert.deepEqual(
    kept.map(({ data: { stream, text } }) => [stream, text]),
    [
      ['stdout', 'first'],
      ['stdout', 'last'],
    ],
  );
  const path = join(seen.logs, `${id}.log`);
  assert.deepEqual(
    [seen.logs, path].map((one) => statSync(one).mode & 0o777),
    [0o700, 0o600],
  );
  assert.ok(!seen.service.log().includes('first'), "the service's log contains none of it");
  await seen.end(dockerId);
  const next = await seen.site.start();
  assert.deepEqual(await seen.read(id, '?follow=true'), kept, 'the next service has the log too');
  assert.equal(await next.stop(), 0);
});

test('stdout and stderr are distinguished, and a reader chooses how much to read or continues from a position', async () => {
  const seen = await Seen.begin();
  const words = `printf '\\303\\251\\377\\0\\033[2J\\n'; printf '%s' end`;
  const { dockerId, id } = await seen.run(
    `echo one; ${WAIT} a; echo two >&2; ${WAIT} b; ${words}; ${PATIENT}`,
  );
  // The order of writes does not determine which of two streams Docker reads first.
  for (const [last, file] of [
    ['one', 'a'],
    ['two', 'b'],
    ['endfirst', 'c'],
  ] as const) {
    await until(`it has written ${last}`, async () => (await seen.texts(id)).includes(last));
    await seen.touch(dockerId, file);
  }
  const strange = 'é\ufffd\u0000\u001b[2J';
  for (const where of ['while it lives', 'when it has ended']) {
    const all = await seen.read(id);
    assert.deepEqual(
      all.slice(0, 4).map(({ data: { stream, text } }) => [stream, text]),
      [
        ['stdout', 'one'],
        ['stderr', 'two'],
        ['stdout', strange],
        ['stdout', 'endfirst'],
      ],
      where,
    );
    assert.deepEqual(await seen.texts(id, '?stream=stderr'), ['two']);
    assert.deepEqual(await seen.read(id, '?tail=2'), all.slice(-2));
    assert.deepEqual(await seen.read(id, '?tail=0'), []);
    const second = all[1]?.id as string;
    assert.deepEqual(await seen.read(id, `?tail=1&after=${second}`), all.slice(2));
    assert.deepEqual(
      await seen.read(id, '?after=2000-01-01T00:00:00.000000000Z-1', { 'last-event-id': second }),
      all.slice(2),
    );
    if (where === 'while it lives') await seen.operator.ask('POST', `/v1/containers/${id}/stop`);
  }
  await seen.end(dockerId);
});

test('the log of a container with a terminal is one text, including lines that are longer than Docker keeps whole', async () => {
  const seen = await Seen.begin();
  const double = 'x=aaaaaaaaaaaaaaaa; i=0; while [ $i -lt 11 ]; do x=$x$x; i=$((i+1)); done';
  const { dockerId, id } = await seen.run(`echo one; echo two >&2; ${double}; echo \${x}z; exit 3`, '-t');
  await seen.service.gone(id);
  const lines = (await seen.read(id)).map(({ data: { stream, text: piece, partial } }) => [
    stream,
    piece,
    partial,
  ]);
  const full = ['stdout', 'a'.repeat(16 * 1024), true];
  const [one, two, rest] = ['one', 'two', 'z'].map((line) => ['stdout', line, undefined]);
  assert.deepEqual(lines, [one, two, full, full, rest]);
  await seen.end(dockerId);
});

test('a container that writes 50 MB ends at once, and a slow reader delays nothing and misses nothing', async () => {
  const seen = await Seen.begin({ CONTAINER_LOG_SIZE: 'none' });
  const double = 'x=aaaaaaaaaaaaaaaa; i=0; while [ $i -lt 6 ]; do x=$x$x; i=$((i+1)); done';
  const program = `${double}; ${WAIT} go; n=0; while [ $n -lt 50000 ]; do echo $n $x; n=$((n+1)); done`;
  const { dockerId, id } = await seen.run(program);
  const deaf = await seen.open(id, '?follow=true');
  await seen.touch(dockerId, 'go');
  await seen.service.gone(id);
  const kept = await seen.read(id);
  assert.match(kept.at(-1)?.data.text ?? '', /^49999 a/);
  const { size } = statSync(join(seen.logs, `${id}.log`));
  assert.ok(size <= 256 * 1024 && size > 200 * 1024, `${size} bytes`);
  let heard = 0;
  for await (const { event, data } of eventsIn(deaf)) {
    if (event === 'line') assert.equal(Number.parseInt(data.text, 10), heard++);
    else assert.deepEqual([event, heard], ['end', 50_000]);
  }
  assert.equal(heard, 50_000);
  await seen.end(dockerId);
});

test("a log that Docker does not keep is a problem that says what to do, and does not delay the container's end", async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(PATIENT, '--log-driver', 'none');
  const { status, body } = await seen.operator.get(`/v1/containers/${id}/logs`);
  assert.deepEqual([status, body.title], [409, 'log.unreadable']);
  assert.match(body.detail, /log driver none; read the log where that driver sends it/);
  await host.docker.getContainer(dockerId).kill();
  await seen.service.gone(id);
  const line = await seen.service.message('the log of a container could not be kept');
  assert.deepEqual([line.level, line.container], ['info', id]);
  assert.deepEqual(readdirSync(seen.logs), []);
  assert.equal((await seen.operator.get(`/v1/containers/${id}/logs`)).body.title, 'container.no_log');
  await seen.end(dockerId);
});

test('a container that is removed by force ends normally, whether or not its log can still be read', async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(PATIENT);
  const events = await seen.follow(id);
  assert.equal(await nextOf(events), 'line first');
  await host.docker.getContainer(dockerId).remove({ force: true });
  assert.equal(await nextOf(events), 'end ');
  await seen.service.gone(id);
  const isKept = existsSync(join(seen.logs, `${id}.log`));
  const said = seen.service.lines.filter(({ msg }) => msg === 'the log of a container could not be kept');
  assert.equal(said.length, isKept ? 0 : 1);
  await seen.end();
});

for (const fault of ['hangs', 'half', 'fails'] as const) {
  test(`a log that Docker does not deliver completely (${fault}) does not delay the container's end`, async () => {
    await using engine = await FaultyEngine.open();
    const seen = await Seen.begin(engine.settings);
    const { dockerId, id } = await seen.run(PATIENT);
    const spoilt = engine.spoil(/GET .*\/logs/, fault);
    await host.docker.getContainer(dockerId).kill();
    if (fault !== 'hangs') await spoilt;
    await seen.service.gone(id);
    const line = await seen.service.message('the log of a container could not be kept');
    assert.deepEqual([line.level, line.container], ['warn', id]);
    assert.deepEqual(readdirSync(seen.logs), []);
    await seen.end(dockerId);
  });
}

test('a follower is told when Docker goes away, and that this is not the end of the log', async () => {
  await using engine = await FaultyEngine.open();
  const seen = await Seen.begin(engine.settings);
  const { dockerId, id } = await seen.run(PATIENT);
  const events = await seen.follow(id);
  assert.equal(await nextOf(events), 'line first');
  engine.goAway();
  const { value } = await events.next();
  assert.deepEqual([value?.event, value?.data.title], ['failed', 'docker.unavailable']);
  assert.equal((await events.next()).done, true);
  engine.fault = undefined;
  await seen.service.message('Docker is back');
  await host.docker.getContainer(dockerId).kill();
  await seen.service.gone(id);
  await seen.end(dockerId);
});

test('an unknown log or an invalid position is refused before anything is sent', async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(PATIENT);
  for (const [path, status, title] of [
    ['abcdef/logs', 404, 'container.no_log'],
    ['zzzz/logs', 400, 'request.invalid'],
    ['..%2f..%2fetc%2fpasswd/logs', 400, 'request.invalid'],
    [`${id}%00/logs`, 400, 'request.invalid'],
    [`${id}/logs?tail=-1`, 400, 'request.invalid'],
    [`${id}/logs?tail=all`, 400, 'request.invalid'],
    [`${id}/logs?stream=stdin`, 400, 'request.invalid'],
    [`${id}/logs?follow=yes`, 400, 'request.invalid'],
    [`${id}/logs?after=yesterday`, 400, 'request.invalid'],
    [`${id}/logs?since=1`, 400, 'request.invalid'],
  ] as const) {
    const answer = await seen.operator.get(`/v1/containers/${path}`);
    assert.deepEqual([answer.status, answer.body.title], [status, title], path);
  }
  const wrong = await seen.operator.ask('GET', `/v1/containers/${id}/logs`, undefined, {
    'last-event-id': '7',
  });
  assert.deepEqual([wrong.status, wrong.body.title], [400, 'request.invalid']);
  assert.equal((await seen.operator.ask('POST', `/v1/containers/${id}/logs`)).headers.allow, 'GET');
  await host.docker.getContainer(dockerId).kill();
  await seen.service.gone(id);
  await seen.end(dockerId);
});

test('a missing log directory prevents neither the end of a container nor that of the service', async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(PATIENT);
  rmdirSync(seen.logs);
  await host.docker.getContainer(dockerId).kill();
  await seen.service.gone(id);
  const { level, why } = await seen.service.message('the log of a container could not be kept');
  assert.equal(level, 'warn');
  assert.match(String(why), /cannot be written: ENOENT/);
  await seen.end(dockerId);
});

test('the log of a container that is removed after its service died is kept', async () => {
  const seen = await Seen.begin();
  const id = await host.containerIdOf(await hostContainer(seen.service));
  await seen.site.kill(seen.service);
  await seen.site.bury();
  assert.ok(existsSync(join(seen.logs, `${id}.log`)));
  await seen.site.over();
});

/** A command of an operator. */
function say(seen: Seen, ...words: readonly string[]) {
  const program = host.start({ env: { ROOT: seen.site.root, APP_ENV: '' }, arguments: words });
  const out = text(program.child.stdout as Readable);
  const err = text(program.child.stderr as Readable);
  const said = async () => ({ code: await program.ended(), out: await out, err: await err });
  return { program, said };
}

test('logs writes each stream to its own descriptor, follows to the end, and reports errors', async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(`echo err >&2; printf 'a\\033[2Jb\\n'; ${PATIENT}`);
  const follower = say(seen, 'logs', '-f', id.slice(0, 10));
  await follower.program.wroteLike(/^first$/);
  await until('it has written err', async () => (await seen.texts(id)).includes('err'));
  assert.equal((await say(seen, 'logs', '--tail', '2', id).said()).out.endsWith('first\n'), true);
  const json = (await say(seen, 'logs', '--json', dockerId).said()).out.trimEnd().split('\n');
  const listed = json.map((line) => JSON.parse(line) as LogLine);
  assert.deepEqual(
    listed.filter(({ stream }) => stream === 'stderr').map((line) => line.text),
    ['err'],
  );
  const lines = listed.filter(({ stream }) => stream === 'stdout').map((line) => line.text);
  assert.deepEqual(lines, ['a\u001b[2Jb', 'first']);
  const interrupted = say(seen, 'logs', '--follow', id);
  await interrupted.program.wroteLike(/^first$/);
  assert.equal(await interrupted.program.stop('SIGINT'), 'SIGINT');
  await seen.operator.ask('POST', `/v1/containers/${id}/stop`);
  const whole = { code: 0, out: 'a\u001b[2Jb\nfirst\nlast\n', err: 'err\n' };
  assert.deepEqual(await follower.said(), whole);
  assert.deepEqual(await say(seen, 'logs', id).said(), whole, 'it was kept');
  for (const [words, code, why] of [
    [['abcdef'], 1, /container\.no_log: no running container has an id that begins with abcdef/],
    [[id, '--tail', 'all'], 1, /--tail expects a number of lines; got "all"/],
    [[], 2, /This command line is not valid: logs/],
    [[id, id], 2, /This command line is not valid/],
    [[id, '--gpu'], 2, /This command line is not valid/],
  ] as const) {
    const said = await say(seen, 'logs', ...words).said();
    assert.deepEqual([said.code, said.out, why.test(said.err)], [code, '', true], said.err);
  }
  await seen.end(dockerId);
});

test('a follower on the command line is told when the service dies, and that this is not the end of the log', async () => {
  const seen = await Seen.begin();
  const { dockerId, id } = await seen.run(PATIENT);
  const follower = say(seen, 'logs', '-f', id);
  await follower.program.wroteLike(/^first$/);
  await seen.site.kill(seen.service);
  const { code, err } = await follower.said();
  assert.equal(code, 1);
  assert.match(err, /the connection to the service broke before the end of the log/);
  await seen.site.bury();
  await seen.site.over();
  assert.equal(
    await host.docker
      .getContainer(dockerId)
      .inspect()
      .catch(() => 'gone'),
    'gone',
  );
});
