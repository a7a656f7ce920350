/** The parts of a hand-over, each on its own. test/integration/hand-over.test.ts tests whole services. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { Course } from '../../container/course.ts';
import { Events } from '../../container/events.ts';
import type { HandedContainer } from '../../container/handed-over.ts';
import { newContainerId } from '../../container/identity.ts';
import { Receipts } from '../../container/receipts.ts';
import { Candidates } from '../../container/start-values.ts';
import { type Paths, pathsBelow } from '../../host/paths.ts';
import { Idempotency } from '../../httpserver/v1/idempotency.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import { monotonic } from '../../lifetime/monotonic.ts';
import { createLogger } from '../../logging/logger.ts';
import { judge } from '../../src/hand-over/after.ts';
import { DescriptorStore } from '../../src/hand-over/descriptor-store.ts';
import { goesOn, handOverFile } from '../../src/hand-over/goes-on.ts';
import { exchange, programsIn, putBack } from '../../src/hand-over/programs.ts';
import { findRestarter, isRestart, unitIn } from '../../src/hand-over/restarter.ts';
import { type HandOver, readHandOver, writeHandOver } from '../../src/hand-over/state.ts';
import { Receiver } from '../support/receiver.ts';

const log = createLogger({ level: 'silent', stream: { write: () => {} } });
const UNIT = 'ecs-host-service.service';

const EMPTY: Omit<HandOver, 'format'> = {
  from: { pid: 1, version: '1.0.0' },
  isReplaced: false,
  isDraining: false,
  containers: [],
  kept: [],
  events: { service: '0a0b0c0d', told: 0, kept: [] },
  requests: [],
};

function newDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hand-over-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

suite('a restart is distinguished from a stop', () => {
  const line = (job: number, unit: string, type: string) => `  ${job} ${unit}  ${type}  running\n`;

  test('a queued restart of the unit is a restart, and everything else is a stop', () => {
    assert.equal(isRestart(UNIT, line(7, UNIT, 'restart')), true);
    assert.equal(isRestart(UNIT, line(7, UNIT, 'try-restart')), true);
    for (const type of ['stop', 'start', 'reload', 'verify-active'])
      assert.equal(isRestart(UNIT, line(7, UNIT, type)), false, type);
    assert.equal(isRestart(UNIT, line(7, 'another.service', 'restart')), false);
    assert.equal(isRestart(UNIT, ''), false);
    assert.equal(isRestart(UNIT, 'No jobs running.\n'), false);
  });

  test('if a restart of Docker restarts the unit too, it is a stop', () => {
    for (const type of ['restart', 'stop'])
      assert.equal(isRestart(UNIT, line(7, UNIT, 'restart') + line(8, 'docker.service', type)), false);
    assert.equal(isRestart(UNIT, line(7, UNIT, 'restart') + line(8, 'docker.service', 'start')), true);
  });

  test('a process finds its unit in its control groups, and none if it runs outside a unit', () => {
    assert.equal(unitIn(`0::/system.slice/${UNIT}\n`), UNIT);
    assert.equal(unitIn(`0::/system.slice/${UNIT}/.control\n`), UNIT);
    assert.equal(unitIn(`12:pids:/user.slice\n1:name=systemd:/system.slice/${UNIT}\n`), UNIT);
    assert.equal(unitIn('0::/user.slice/user-0.slice/session-1.scope\n'), undefined);
  });

  test("under the launcher, only the launcher's own signal is a restart, and its descriptor store is limited", async () => {
    const environment = { NOTIFY_SOCKET: '/x', RESTART_STATUS: '79', FDSTORE: '2' };
    const restarter = await findRestarter(environment, log);
    assert.equal(await restarter?.restarts('SIGPWR'), true);
    assert.equal(await restarter?.restarts('SIGTERM'), false);
    assert.equal(await restarter?.holds(2), true);
    assert.equal(await restarter?.holds(3), false);
    assert.equal(await findRestarter({}, log), undefined, 'nobody would start it again');
  });
});

suite('what waits for the next process', () => {
  test('each descriptor is stored once under its name, and removed when the start is complete', async (t) => {
    const NOTIFY_SOCKET = join(newDirectory(t), 'socket');
    await using receiver = await Receiver.open(NOTIFY_SOCKET);
    const store = new DescriptorStore({ NOTIFY_SOCKET });
    store.put(new Map([['one', 0]]));
    store.put(
      new Map([
        ['one', 0],
        ['two', 0],
      ]),
    );
    store.clear();
    const heard = [];
    for (let i = 0; i < 10; i++) heard.push(await receiver.next());
    assert.deepEqual(heard, [
      ...['FDSTORE=1', 'FDPOLL=0', 'FDNAME=one', 'FDSTORE=1', 'FDPOLL=0', 'FDNAME=two'],
      ...['FDSTOREREMOVE=1', 'FDNAME=one', 'FDSTOREREMOVE=1', 'FDNAME=two'],
    ]);
    assert.throws(
      () => new DescriptorStore({}).put(new Map([['one', 0]])),
      /neither systemd nor the launcher keeps/,
    );
  });

  test('a process inherits only descriptors that were passed to its own pid', () => {
    const inherited = (pid: number) =>
      new DescriptorStore({}).inherited({
        LISTEN_PID: String(pid),
        LISTEN_FDS: '2',
        LISTEN_FDNAMES: 'one:two',
      });
    assert.deepEqual(
      [...inherited(process.pid)],
      [
        ['one', 3],
        ['two', 4],
      ],
    );
    assert.deepEqual([...inherited(process.ppid)], []);
  });

  test('each descriptor can be taken once, and the rest can be closed', () => {
    const descriptors = new Descriptors([
      ['one', 3],
      ['two', 4],
      ['three', 5],
    ]);
    assert.deepEqual([descriptors.take('one'), descriptors.take('one')], [3, undefined]);
    assert.deepEqual(descriptors.takeRest(), [4, 5]);
    assert.deepEqual(descriptors.takeRest(), []);
    descriptors.offer('four', 6);
    descriptors.offer('five', 7);
    descriptors.withdraw('four');
    assert.deepEqual([...descriptors.offered], [['five', 7]]);
  });

  test('connections are stored at once, and a process that takes one removes it from the store', () => {
    const stored: unknown[] = [];
    const store = {
      put: (some: ReadonlyMap<string, number>) => stored.push(...some),
      remove: (name: string) => stored.push(`without ${name}`),
    };
    const received = [
      ['client-1', 3],
      ['device', 4],
      ['client-2', 5],
    ] as const;
    const descriptors = new Descriptors(received, store);
    assert.deepEqual(descriptors.takeAll('client-'), [3, 5]);
    assert.deepEqual(descriptors.takeAll('client-'), []);
    descriptors.passOn('client-3', 6);
    assert.deepEqual(stored, ['without client-1', 'without client-2', ['client-3', 6]]);
    assert.deepEqual([...descriptors.offered], [['client-3', 6]]);
    assert.deepEqual(descriptors.takeRest(), [4]);
  });

  test('the hand-over file is read as it was written, only by root, and an invalid one is refused completely', async (t) => {
    const paths = { run: newDirectory(t) };
    assert.equal(await readHandOver(paths), undefined);
    await writeHandOver(paths, EMPTY);
    assert.deepEqual(await readHandOver(paths), { format: 1, ...EMPTY });
    for (const content of ['{', '{}', JSON.stringify({ format: 2, ...EMPTY })]) {
      writeFileSync(handOverFile(paths), content);
      await assert.rejects(readHandOver(paths), { code: 'handover.unreadable' });
    }
  });

  test('the next service continues with the tokens, events and answered requests', async () => {
    const offer = { userId: 'u', clientAppAuthSecret: 's', configEncryptionToken: 't', source: 'here' };
    const first = new Candidates();
    first.keep(offer);
    const values = { dpi: 96, containerArn: '', userId: 'u', clientAppAuthSecret: 's' };
    assert.deepEqual(new Candidates(first.waiting).settle(values), offer);

    const before = new Events();
    const view = { id: newContainerId(), state: 'running' } as never;
    before.tell(view, { to: 'running', code: 'started', cause: '' });
    const events = new Events(undefined, before.handed);
    events.tell(view, { to: 'assigned', code: 'assigned', cause: '' });
    const [last] = before.handed.kept;
    const { value } = await events.follow(last?.id, new AbortController().signal).next();
    assert.equal((value as { id: string }).id, `${before.handed.service}-2`);

    const asked = new Idempotency<string>();
    await asked.once('key', 'request', async () => 'first');
    const again = new Idempotency<string>(await asked.handed());
    assert.equal(await again.once('key', 'request', async () => 'second'), 'first');
    await assert.rejects(
      again.once('key', 'other', async () => 'third'),
      { code: 'create.other_request' },
    );
  });

  test('a receipt continues with what the previous service recorded', async (t) => {
    const id = newContainerId();
    const purpose = { role: 'spin-up', appName: 'demo' } as const;
    const [before, after] = [1, 2].map(() => new Receipts(newDirectory(t), log)) as [Receipts, Receipts];
    const holding = { kind: 'tty', what: '10', owner: { kind: 'container', id }, lifetime: 'x' };
    const [held, gone] = [
      { ...holding, takenAt: new Date(1) },
      { ...holding, what: '11' },
    ];
    before.begin(id, purpose);
    for (const one of [held, gone]) await before.note({ step: 'taken', holding: one });
    await before.note({ step: 'gone', holding: gone, seen: 'not there' });
    const handed = before.handed(id);
    after.begin(id, purpose, JSON.parse(JSON.stringify(handed)));
    await after.note({ step: 'taken', holding: { ...holding, takenAt: new Date(2) } });
    const { began, resources } = await after.find(id);
    assert.equal(began, handed.states[0]?.at);
    assert.deepEqual(
      resources.map(({ what, seen }) => [what, seen]),
      [
        ['11', 'not there'],
        ['10', undefined],
      ],
    );
    assert.equal(resources[1]?.allotted, new Date(1).toISOString());
  });

  test('a container keeps its state and its age, and an ending one remembers the state before', () => {
    const entered = monotonic() - 5000;
    const times = { began: new Date(1).toISOString(), since: new Date(2).toISOString(), entered };
    const course = new Course({ ...times, state: 'assigned' } as HandedContainer);
    assert.deepEqual(course.handed('assigned'), { state: 'assigned', ...times });
    assert.ok(course.age >= 5000);
    course.moved({ from: 'assigned', to: 'ending', code: 'operator', cause: 'why' });
    const { state, ending } = course.handed('ending') ?? {};
    assert.deepEqual([state, ending], ['assigned', { code: 'operator', text: 'why' }]);
    assert.equal(course.handed('preparing'), undefined);
    assert.equal(course.handed('gone'), undefined);
  });
});

suite('after a process of the service has ended', () => {
  async function begin(t: TestContext, state = EMPTY) {
    const paths = { run: newDirectory(t) } as Paths;
    await writeHandOver(paths, state);
    const verdict = (environment: NodeJS.ProcessEnv, unit?: string) =>
      judge({ environment: { PATH: process.env.PATH, ...environment }, paths, unit, log }, undefined);
    return { paths, verdict, isUnderWay: () => existsSync(handOverFile(paths)) };
  }

  test('if the service handed over, the hand-over continues, and nothing of it is removed', async (t) => {
    const { verdict, isUnderWay } = await begin(t);
    const told = { SERVICE_RESULT: 'success', EXIT_CODE: 'exited', EXIT_STATUS: '79' };
    assert.equal(await verdict(told), 'goes on');
    assert.ok(isUnderWay());
  });

  test('the clean-up ends at once if the service handed over', async (t) => {
    const ROOT = newDirectory(t);
    const { run } = pathsBelow(ROOT);
    const after = (EXIT_CODE: string, EXIT_STATUS: string) =>
      goesOn(['bury'], { ROOT, EXIT_CODE, EXIT_STATUS });
    assert.equal(await after('exited', '79'), false);
    mkdirSync(run, { recursive: true });
    await writeHandOver({ run }, EMPTY);
    assert.equal(await after('exited', '79'), true);
    assert.equal(await after('exited', '1'), false);
    assert.equal(await after('killed', 'KILL'), false);
  });

  test('during a hand-over, a stop counts as a stop, and a failure of the new service as a crash', async (t) => {
    const { verdict, isUnderWay } = await begin(t);
    assert.equal(
      await verdict({ SERVICE_RESULT: 'success', EXIT_CODE: 'exited', EXIT_STATUS: '0' }),
      'stops',
    );
    assert.ok(isUnderWay());
    assert.equal(
      await verdict({ SERVICE_RESULT: 'signal', EXIT_CODE: 'killed', EXIT_STATUS: 'KILL' }),
      'failed',
    );
    assert.ok(!isUnderWay());
    assert.equal(await verdict({}), 'none');
  });

  test('the previous executable is restored once, and the two executables can be exchanged', async (t) => {
    const programs = programsIn(newDirectory(t));
    assert.equal(await putBack(programs), false);
    assert.equal(await exchange(programs), false);
    writeFileSync(programs.current, 'new');
    writeFileSync(programs.previous, 'old');
    assert.equal(await exchange(programs), true);
    assert.equal(await exchange(programs), true);
    assert.equal(await putBack(programs), true);
    assert.equal(readFileSync(programs.current, 'utf8'), 'old');
    assert.equal(readFileSync(`${programs.current}.failed`, 'utf8'), 'new');
    assert.equal(await putBack(programs), false);
  });
});
