/** The set-up calls of one container, with real files and a user config that exists only in memory. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import type { ContainerDirectories } from '../../container/directories.ts';
import type { ContainerFacts } from '../../container/facts.ts';
import { newContainerId } from '../../container/identity.ts';
import { ResourceMappings } from '../../container/resource-mappings.ts';
import { SetUp } from '../../container/set-up.ts';
import type { StartValues, TokenOffer } from '../../container/start-values.ts';
import { StateMachine, type Transition } from '../../container/state.ts';
import { type ConfigKeeping, UserConfig } from '../../container/user-config.ts';
import { pathsBelow } from '../../host/paths.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';

type Settled = Pick<ContainerFacts, 'startValues' | 'isReady'>;

const VALUES: StartValues = { dpi: 96, containerArn: 'arn', userId: 'user', clientAppAuthSecret: 'secret' };
const OFFER: TokenOffer = {
  userId: 'user',
  clientAppAuthSecret: 'secret',
  configEncryptionToken: 'token',
  source: '10.0.0.1',
};
const PORT = 32_262;

function containerOf(t: TestContext, settled?: Settled) {
  const root = mkdtempSync(join(tmpdir(), 'set-up-'));
  const [directory, drafts] = [join(root, 'mappings'), join(root, 'drafts')];
  for (const one of [directory, drafts]) mkdirSync(one);
  const lifetime = new Lifetime('container');
  t.after(async () => {
    await lifetime.end();
    rmSync(root, { recursive: true });
  });
  const lines: Record<string, unknown>[] = [];
  const logged = Promise.withResolvers<void>();
  const write = (line: string) => {
    lines.push(JSON.parse(line));
    logged.resolve();
  };
  const log = createLogger({ level: 'error', stream: { write } });
  const calls: string[] = [];
  const session = { checkpoint: async () => void calls.push('checkpoint'), save: async () => 'saved' };
  const configs = {
    begin: async ({ userId, token }: { userId: string; token: string }) => {
      calls.push(`begin ${userId} ${token}`);
      return { session, outcome: 'restored' };
    },
    versionsOf: async ({ userId }: { userId: string }) => [`of ${userId}`],
  };
  const id = newContainerId();
  const config = new UserConfig({
    keeping: { configs, checkpoints: 60_000 } as unknown as ConfigKeeping,
    id,
    appName: 'app',
    directories: { own: root, userConfig: join(root, 'files') } as ContainerDirectories,
    lifetime,
    receipts: { warn: () => {} },
    paths: pathsBelow(root),
    log,
  });
  const moves: Transition[] = [];
  const state = new StateMachine(id, (move) => moves.push(move));
  for (const to of ['created', 'running'] as const) state.move(to, { code: 'started', text: 'in a test' });
  const noted: object[] = [];
  const mappings = new ResourceMappings(directory, drafts);
  const note = (facts: object) => void noted.push(facts);
  const setUp = new SetUp({ port: PORT, mappings, config, state, lifetime, note, log }, settled);
  const read = (name: string) => readFileSync(join(directory, name), 'utf8');
  return { setUp, state, lifetime, directory, calls, lines, logged: logged.promise, moves, noted, read };
}

/** Lets work fail because the directory is missing, and makes the directory again. */
async function without(directory: string, work: () => Promise<unknown>): Promise<void> {
  rmSync(directory, { recursive: true });
  await work();
  mkdirSync(directory);
}

test('start values are written, recorded, and then assign the container', async (t) => {
  const { setUp, state, moves, noted, read } = containerOf(t);
  await setUp.assign(VALUES);
  assert.deepEqual([read('DPI'), read('ContainerARN')], ['96', 'arn']);
  assert.deepEqual(noted, [{ startValues: VALUES }]);
  assert.equal(state.current, 'assigned');
  const { code, cause } = moves.at(-1) ?? {};
  assert.deepEqual([code, cause], ['assigned', 'the start values arrived']);
});

test('the same start values have no effect the second time, and others are refused', async (t) => {
  const { setUp, noted, read } = containerOf(t);
  await Promise.all([setUp.assign(VALUES), setUp.assign(VALUES)]);
  const others = { ...VALUES, containerArn: 'another' };
  await assert.rejects(setUp.assign(others), {
    code: 'container.other_start_values',
    message: new RegExp(`${PORT}`),
  });
  assert.equal(noted.length, 1);
  assert.equal(read('ContainerARN'), 'arn');
});

test('start values without a client secret are refused, and right ones are accepted afterwards', async (t) => {
  const { setUp, state, directory } = containerOf(t);
  await assert.rejects(setUp.assign({ ...VALUES, clientAppAuthSecret: '' }), {
    code: 'container.no_client_secret',
  });
  assert.deepEqual(readdirSync(directory), []);
  await setUp.assign(VALUES);
  assert.equal(state.current, 'assigned');
});

test('start values that could not be written can be sent again', async (t) => {
  const { setUp, state, directory, noted } = containerOf(t);
  await without(directory, () => assert.rejects(setUp.assign(VALUES), { code: 'host.filesystem' }));
  assert.deepEqual([state.current, noted], ['running', []]);
  await setUp.assign(VALUES);
  assert.equal(state.current, 'assigned');
});

test('a container that has ended is unknown to both set-up calls', async (t) => {
  const { setUp, state, directory } = containerOf(t);
  state.move('ending', { code: 'exited', text: 'in a test' });
  const unknown = { code: 'container.unknown_port', message: new RegExp(`${PORT}`) };
  await assert.rejects(setUp.assign(VALUES), unknown);
  await assert.rejects(setUp.offer(OFFER), unknown);
  assert.deepEqual(readdirSync(directory), []);
});

test('a container whose end begins while a set-up call writes is neither assigned nor ready', async (t) => {
  const unknown = { code: 'container.unknown_port' };
  const first = containerOf(t);
  const assigned = first.setUp.assign(VALUES);
  await Promise.resolve();
  first.state.move('ending', { code: 'exited', text: 'in a test' });
  await assert.rejects(assigned, unknown);
  const second = containerOf(t);
  await second.setUp.assign(VALUES);
  const offered = second.setUp.offer(OFFER);
  second.state.move('ending', { code: 'exited', text: 'in a test' });
  await assert.rejects(offered, unknown);
  assert.deepEqual([first.noted, second.noted], [[], [{ startValues: VALUES }]]);
});

test('a proven token restores the files and makes the container ready', async (t) => {
  const { setUp, state, calls, moves, noted, read } = containerOf(t);
  await setUp.assign(VALUES);
  assert.equal(await setUp.offer(OFFER), 'ready');
  assert.deepEqual(calls, ['begin user token']);
  assert.deepEqual([read('userConfig'), read('.ready')], ['restored', '.ready']);
  assert.deepEqual(noted.at(-1), { isReady: true });
  assert.equal(state.current, 'ready');
  const { code, cause } = moves.at(-1) ?? {};
  assert.deepEqual([code, cause], ['furnished', 'both set-up calls arrived; user config: restored']);
});

test('repeated tokens make the container ready once', async (t) => {
  const { setUp, calls, noted } = containerOf(t);
  await setUp.assign(VALUES);
  await Promise.all([setUp.offer(OFFER), setUp.offer(OFFER)]);
  assert.equal(await setUp.offer(OFFER), 'ready');
  assert.deepEqual([calls.length, noted.length], [1, 2]);
});

test('an empty token and a token that proves nothing are refused', async (t) => {
  const { setUp, calls, state } = containerOf(t);
  const empty = { code: 'container.empty_token' };
  await assert.rejects(setUp.offer({ ...OFFER, configEncryptionToken: '' }), empty);
  await setUp.assign(VALUES);
  await assert.rejects(setUp.offer({ ...OFFER, configEncryptionToken: '' }), empty);
  await assert.rejects(setUp.offer({ ...OFFER, clientAppAuthSecret: 'guessed' }), {
    code: 'container.token_mismatch',
    message: new RegExp(`${PORT}`),
  });
  assert.deepEqual([calls, state.current], [[], 'assigned']);
});

test('after a failure, the client app can send its token again', async (t) => {
  const { setUp, state, directory } = containerOf(t);
  await setUp.assign(VALUES);
  await without(directory, () => assert.rejects(setUp.offer(OFFER), { code: 'host.filesystem' }));
  assert.equal(state.current, 'assigned');
  assert.equal(await setUp.offer(OFFER), 'ready');
  assert.equal(state.current, 'ready');
});

test('a token that arrives before the start values is kept, and makes the container ready afterwards', async (t) => {
  const { setUp, state, lifetime, calls, lines } = containerOf(t);
  assert.equal(await setUp.offer(OFFER), 'kept');
  assert.deepEqual([state.current, calls], ['running', []]);
  await setUp.assign(VALUES);
  assert.equal(await setUp.offer(OFFER), 'ready');
  await lifetime.end();
  assert.deepEqual([calls, state.current, lines], [['begin user token'], 'ready', []]);
});

test('a kept token that proves nothing makes nothing ready', async (t) => {
  const { setUp, state, calls } = containerOf(t);
  await setUp.offer({ ...OFFER, clientAppAuthSecret: 'guessed' });
  await setUp.assign(VALUES);
  await allElseHasRun();
  assert.deepEqual([state.current, calls], ['assigned', []]);
});

test('a token is not kept if the caller may not keep one, or if there are too many', async (t) => {
  const { setUp } = containerOf(t);
  const refused = { code: 'container.too_many_tokens', message: new RegExp(`${PORT}`) };
  await assert.rejects(setUp.offer(OFFER, false), refused);
  for (let n = 1; n <= 8; n++) assert.equal(await setUp.offer({ ...OFFER, source: `10.0.0.${n}` }), 'kept');
  await assert.rejects(setUp.offer({ ...OFFER, source: '10.0.0.9' }), refused);
});

test('the failure to make a container ready with a kept token is logged with the source of the token', async (t) => {
  const { setUp, directory, calls, lines, logged } = containerOf(t);
  await setUp.offer(OFFER);
  await setUp.assign(VALUES);
  // The files are being restored. Their outcome, which is written next, has no directory.
  rmSync(directory, { recursive: true });
  await logged;
  assert.deepEqual(calls, ['begin user token']);
  const [line, ...others] = lines;
  assert.deepEqual(others, []);
  assert.deepEqual(
    [line?.source, line?.msg],
    ['10.0.0.1', 'could not make the container ready; its client app must call again'],
  );
  assert.match(JSON.stringify(line?.error), /mappings/);
});

test('the settled facts of a crashed service are kept', async (t) => {
  const { setUp, state, calls, noted } = containerOf(t, { startValues: VALUES, isReady: true });
  state.move('assigned', { code: 'taken-over', text: 'in a test' });
  await setUp.assign(VALUES);
  assert.equal(await setUp.offer(OFFER), 'ready');
  assert.deepEqual([calls, noted], [[], []]);
});

test('a container that a crashed service had only assigned becomes ready', async (t) => {
  const { setUp, state, calls } = containerOf(t, { startValues: VALUES });
  state.move('assigned', { code: 'taken-over', text: 'in a test' });
  assert.equal(await setUp.offer(OFFER), 'ready');
  assert.deepEqual([calls, state.current], [['begin user token'], 'ready']);
});

test("the stored versions are those of the container's user, once it is assigned", async (t) => {
  const { setUp } = containerOf(t);
  assert.throws(() => setUp.history, { code: 'config.none', message: /not assigned/ });
  await setUp.assign(VALUES);
  const versions: unknown = await setUp.history.list(new AbortController().signal);
  assert.deepEqual(versions, ['of user']);
});

test('a requested checkpoint saves the files', async (t) => {
  const { setUp, calls } = containerOf(t);
  await setUp.assign(VALUES);
  await setUp.offer(OFFER);
  await setUp.checkpoint();
  assert.deepEqual(calls, ['begin user token', 'checkpoint']);
});

test("the host's end is announced to the programs and withdrawn", async (t) => {
  const { setUp, directory, read } = containerOf(t);
  await setUp.tellEnding('2026-11-30T10:00:00Z');
  assert.equal(read('ending'), '2026-11-30T10:00:00Z');
  await setUp.tellEnding(undefined);
  assert.ok(!existsSync(join(directory, 'ending')));
});

test("the end of a container waits for the announcement of the host's end, and nothing is written afterwards", async (t) => {
  const { setUp, lifetime, directory, read } = containerOf(t);
  const told = setUp.tellEnding('2026-11-30T10:00:00Z');
  await lifetime.end();
  assert.equal(read('ending'), '2026-11-30T10:00:00Z');
  await told;
  rmSync(join(directory, 'ending'));
  await setUp.tellEnding('2026-11-30T11:00:00Z');
  assert.deepEqual(readdirSync(directory), []);
});
