/**
 * The part of a host that concerns user configs: a disk, a spool on it, and sessions of containers that are only directories.
 */

import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServiceError } from '../../errors/service-error.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { Secret } from '../../settings/secret.ts';
import type { Session } from '../../user-configs/session.ts';
import { type Outcome, UserConfigs, type UserConfigsOptions } from '../../user-configs/user-configs.ts';
import { S3 } from './s3.ts';
import { S3_KEY_ID, S3_SECRET, SECRET, TOKEN } from './secrets.ts';

const USER = 1000;

export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A session, and its container's view. */
export interface Container {
  readonly session: Session;
  readonly outcome: Outcome;
  readonly alarm: ServiceError | undefined;
  readonly own: string;
  readonly files: string;
  /** Writes files like the container. */
  write(content: Readonly<Record<string, string | Buffer>>): void;
}

export class ConfigHost implements AsyncDisposable {
  readonly root: string;
  readonly lines: Line[] = [];
  readonly #s3: Pick<S3, 'bucket' | 'url'>;
  readonly #options: Partial<UserConfigsOptions>;
  #lifetime = new Lifetime('host');
  #configs: UserConfigs | undefined;

  /** @param root a directory; default: a new one */
  static async open(
    s3: Pick<S3, 'bucket' | 'url'>,
    options: Partial<UserConfigsOptions> = {},
    root?: string,
  ): Promise<ConfigHost> {
    process.env.AWS_ACCESS_KEY_ID = S3_KEY_ID;
    process.env.AWS_SECRET_ACCESS_KEY = S3_SECRET;
    const host = new ConfigHost(s3, options, root ?? mkdtempSync(join(tmpdir(), 'config-host-')));
    mkdirSync(host.spool);
    await host.start();
    return host;
  }

  private constructor(s3: Pick<S3, 'bucket' | 'url'>, options: Partial<UserConfigsOptions>, root: string) {
    this.#s3 = s3;
    this.#options = options;
    this.root = root;
  }

  get spool(): string {
    return join(this.root, 'spool');
  }

  get configs(): UserConfigs {
    if (!this.#configs) throw new Error('not started');
    return this.#configs;
  }

  async start(): Promise<void> {
    const stream = { write: (line: string) => void this.lines.push(JSON.parse(line)) };
    this.#lifetime = new Lifetime('host');
    this.#configs = await UserConfigs.open(this.#lifetime, {
      bucket: this.#s3.bucket,
      region: 'us-east-1',
      endpoint: new URL(this.#s3.url),
      spool: this.spool,
      spoolLimit: 2 ** 30,
      limit: 2 ** 30,
      seen: join(this.root, 'seen'),
      readsOldFormat: true,
      secret: new Secret(SECRET),
      versions: 10,
      log: createLogger({ level: 'debug', stream }),
      ...this.#options,
    });
  }

  /** Ends in the same way as the service. */
  async stop(): Promise<void> {
    await this.configs.finish(AbortSignal.timeout(10_000));
    await this.#lifetime.end();
  }

  /** Resolves when new changes get a later time than the earlier ones. */
  async tick(): Promise<void> {
    const path = join(this.root, 'tick');
    const touch = () => {
      writeFileSync(path, '');
      return statSync(path, { bigint: true }).ctimeNs;
    };
    const before = touch();
    while (touch() === before) await pause(1);
  }

  async waiting(): Promise<string[]> {
    return (await readdir(this.spool)).sort();
  }

  /** Resolves when pending saves have reached the store. */
  async arrived(): Promise<void> {
    while ((await this.waiting()).length > 0) await pause(5);
  }

  /** @param before what the container does to its files before the user's files are restored */
  async begin(
    { userId = 'user', appName = 'app', token = TOKEN } = {},
    before: (files: string) => void = () => {},
  ): Promise<Container> {
    const session = randomBytes(8).toString('hex');
    const own = join(this.root, session);
    const files = join(own, 'files');
    mkdirSync(own);
    mkdirSync(files);
    chownSync(files, USER, USER);
    before(files);
    const request = { userId, appName, token, session, own, files };
    const begun = await this.configs.begin(request, new AbortController().signal);
    const write = (content: Readonly<Record<string, string | Buffer>>) => {
      for (const [name, text] of Object.entries(content)) writeFileSync(join(files, name), text);
    };
    return { ...begun, own, files, write };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.root, { recursive: true });
  }
}

/** A host with its own store, for one test. */
export async function openConfigHost(
  t: TestContext,
  options?: Partial<UserConfigsOptions>,
): Promise<{ readonly s3: S3; readonly host: ConfigHost }> {
  const s3 = await S3.open();
  const host = await ConfigHost.open(s3, options);
  t.after(async () => {
    await host[Symbol.asyncDispose]();
    await s3[Symbol.asyncDispose]();
  });
  return { s3, host };
}
