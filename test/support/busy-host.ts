/**
 * A host whose users are busy: they type in terminals, change files that are saved all the time, and repeat their
 * requests. Callers ask the service on all of its sockets, and a pool is emptied and filled.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Written } from '../../container/receipts.ts';
import { pathsBelow } from '../../host/paths.ts';
import { BusyCallers, callApi, callDocker } from './busy-callers.ts';
import { token } from './callers.ts';
import { ConfigHost } from './config-host.ts';
import { Operator } from './operator.ts';
import type { S3 } from './s3.ts';
import { CLIENT_SECRET, TOKEN } from './secrets.ts';
import type { ServiceProcess } from './service-process.ts';
import { SHELL_IMAGE } from './shell-image.ts';
import { until } from './site.ts';
import { commandQuery, TerminalFollower } from './terminal-follower.ts';
import type { TestHost } from './test-host.ts';

const [USERS, UNASSIGNED, WARM] = [12, 4, 4];
/** The first users type, and the last ones change files. */
const [TYPISTS, WRITERS] = [3, 3];
const USER = 1000;
const PADDING = 200_000;
/** Prints each typed byte at once. */
const ECHO = 'stty raw -echo; echo ready; exec cat';
const READY = 'ready\n';
const MADE_FROM = { image: SHELL_IMAGE, app: 'demo' };

interface User {
  readonly userId: string;
  readonly id: string;
  readonly docker: string;
  readonly port: number;
}

interface Parts {
  readonly host: TestHost;
  readonly root: string;
  readonly service: ServiceProcess;
  readonly s3: S3;
}

export class BusyHost implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #operator: Operator;
  readonly #users: readonly User[];
  readonly #typists: readonly TerminalFollower[];
  readonly #callers: BusyCallers;
  /** When each container was started, by its docker id. */
  readonly #started: ReadonlyMap<string, string>;
  readonly #typing: Promise<unknown>;
  readonly #stopped = new Set<string>();
  #writes = 0;
  #isOver = false;

  /** Makes the containers, and begins. */
  static async open(parts: Parts): Promise<BusyHost> {
    const operator = new Operator(parts.root);
    const users = await Promise.all(Array.from({ length: USERS }, (_, i) => makeUser(operator, `user${i}`)));
    const others = await Promise.all(Array.from({ length: UNASSIGNED }, () => create(operator)));
    const started = await startedOn(
      parts.host,
      [...users, ...others].map(({ docker }) => docker),
    );
    await operator.ask('PUT', '/v1/pools/demo', { ...MADE_FROM, size: WARM });
    await filled(operator);
    const typists = users.slice(0, TYPISTS).map(() => new TerminalFollower(parts.root));
    for (const [i, typist] of typists.entries())
      await typist.open(`/containers/${users[i]?.id}/terminal?${commandQuery('/bin/sh', '-c', ECHO)}`);
    return new BusyHost(parts, operator, users, typists, started);
  }

  private constructor(
    parts: Parts,
    operator: Operator,
    users: readonly User[],
    typists: readonly TerminalFollower[],
    started: ReadonlyMap<string, string>,
  ) {
    this.#parts = parts;
    this.#operator = operator;
    this.#users = users;
    this.#typists = typists;
    this.#started = started;
    this.#typing = Promise.all(typists.map((typist) => this.#type(typist)));
    this.#typing.catch(() => {});
    const { root, service } = parts;
    const [{ port, userId }] = users as readonly [User];
    const call = () => token(service, port, { user_id: userId }).then(({ status }) => status);
    this.#callers = new BusyCallers([call, callApi(root), callDocker(root)]);
  }

  async #type(typist: TerminalFollower): Promise<void> {
    typist.follow().catch(() => {});
    await until('the terminal echoes', () => typist.output === READY);
    await typist.typeUntil(() => this.#isOver);
  }

  /** Upgrades the service while everybody is busy, in the middle of an upload and of a request that is repeated. */
  async upgrade(): Promise<void> {
    const { service } = this.#parts;
    const key = randomBytes(8).toString('hex');
    await Promise.race([this.#callers.failure, this.#everybodyGoesOn()]);
    const made = await this.#claim(key);
    const from = service.lines.length;
    service.child.kill('SIGUSR1');
    await Promise.race([this.#callers.failure, service.message('took the host over', from)]);
    await service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
    assert.equal((await this.#claim(key)).id, made.id);
    await this.#operator.ask('POST', `/v1/containers/${made.id}/stop`);
    this.#stopped.add(made.id);
    await filled(this.#operator);
  }

  /** Resolves when each of them has done something more, and an upload is in progress. */
  async #everybodyGoesOn(): Promise<void> {
    const answers = [...this.#callers.answers];
    const typed = this.#typists.map(({ typed: { length } }) => length);
    const { s3 } = this.#parts;
    const before = s3.requests.length;
    await s3.turn('silent', { only: ['PutObject'], times: 1 });
    this.#write();
    await until('everybody goes on, and an upload is in progress', () => {
      const called = this.#callers.answers.every((count, i) => count > (answers[i] as number));
      const types = this.#typists.every((typist, i) => typist.typed.length > (typed[i] as number));
      const uploads = s3.requests.slice(before).filter(({ operation }) => operation === 'PutObject');
      return called && types && uploads.some(({ status }) => status === undefined);
    });
  }

  get #writers(): readonly User[] {
    return this.#users.slice(-WRITERS);
  }

  #write(): void {
    this.#writes += 1;
    for (const { id, userId } of this.#writers) {
      const files = join(this.#parts.root, 'fractal', id, 'userConfigs/unpacked_configs');
      writeFileSync(join(files, 'work'), `${userId} ${this.#writes}`);
      writeFileSync(join(files, 'padding'), randomBytes(PADDING));
      for (const name of ['work', 'padding']) chownSync(join(files, name), USER, USER);
    }
  }

  /** Creates a container for a user. With the same key, it is the same one. */
  async #claim(key: string): Promise<{ readonly id: string }> {
    return await create(this.#operator, key, { userId: key, clientAppAuthSecret: CLIENT_SECRET });
  }

  /** Everybody stops. Then nothing that they did may be missing. */
  async end(): Promise<void> {
    const { host } = this.#parts;
    this.#write();
    this.#isOver = true;
    await this.#callers.end();
    await this.#typing;
    for (const typist of this.#typists) {
      await until('every key stroke came back', () => typist.bytes >= READY.length + typist.typed.length);
      assert.equal(typist.output, READY + typist.typed);
    }
    assert.deepEqual(await startedOn(host, [...this.#started.keys()]), this.#started);
  }

  /** What must hold after the service has stopped. */
  async audit(): Promise<void> {
    const { root, service, s3 } = this.#parts;
    assert.deepEqual(
      service.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
    const before = service.lines.slice(
      0,
      service.lines.findIndex(({ msg }) => msg === 'asked to stop'),
    );
    const gone = before.flatMap(({ msg, container }) => (msg === 'container is gone' ? [container] : []));
    assert.deepEqual(new Set(gone), this.#stopped);
    const { receipts } = pathsBelow(root);
    const read = (name: string): Written => JSON.parse(readFileSync(join(receipts, name), 'utf8'));
    const ended = new Map(readdirSync(receipts).map((name) => [name.split('.')[0], read(name)]));
    for (const id of [...this.#users.map((user) => user.id), ...this.#stopped]) assert.ok(ended.has(id));
    for (const { resources } of ended.values())
      for (const one of resources)
        assert.ok(one.released || one.kind === 'docker container', JSON.stringify(one));
    await using next = await ConfigHost.open(s3);
    for (const { userId } of this.#writers) {
      const { files, outcome } = await next.begin({ userId, appName: MADE_FROM.app });
      assert.equal(outcome, 'restored');
      assert.equal(readFileSync(join(files, 'work'), 'utf8'), `${userId} ${this.#writes}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    for (const typist of this.#typists) typist[Symbol.dispose]();
    await this.#callers.end().catch(() => {});
  }
}

async function create(operator: Operator, key?: string, startValues?: object) {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  const asked = { ...MADE_FROM, ...(startValues && { startValues }) };
  const { status, body } = await operator.ask('POST', '/v1/containers', asked, headers);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

async function makeUser(operator: Operator, userId: string): Promise<User> {
  const whose = { userId, clientAppAuthSecret: CLIENT_SECRET };
  const { id, docker, port } = await create(operator, undefined, whose);
  const offer = { ...whose, configEncryptionToken: TOKEN };
  const { body } = await operator.ask('PUT', `/v1/containers/${id}/config-token`, offer);
  assert.equal(body.state, 'ready', JSON.stringify(body));
  return { userId, id, docker, port };
}

async function filled(operator: Operator): Promise<void> {
  const isFilled = async () => (await operator.get('/v1/pools/demo')).body.ready === WARM;
  await until('the pool is filled', isFilled);
}

/** @returns when each was started; empty if it does not run */
async function startedOn({ docker }: TestHost, ids: readonly string[]): Promise<Map<string, string>> {
  const one = async (id: string) => {
    const { Running, StartedAt } = (await docker.getContainer(id).inspect()).State;
    return [id, Running ? StartedAt : ''] as const;
  };
  return new Map(await Promise.all(ids.map(one)));
}
