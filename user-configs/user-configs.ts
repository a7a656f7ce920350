/** The configs of all users on this host: a session for each container, and one uploader for their saves. */

import pLimit from 'p-limit';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Secret } from '../settings/secret.ts';
import { mostOfArchive } from './answer-limits.ts';
import { deriveIdentity, deriveStampKey, recipientOf } from './config-key.ts';
import { isDamaged } from './damaged.ts';
import { type Furnished, furnish } from './furnish.ts';
import { type Listed, listVersions, restoreVersion } from './history.ts';
import { oldKeyOf, prefixOf } from './object-keys.ts';
import { PartBuffers } from './part-buffers.ts';
import { Seen } from './seen.ts';
import { Session, type SessionRecord } from './session.ts';
import { Sources } from './sources.ts';
import { Spool } from './spool.ts';
import type { ConfigStore } from './store.ts';
import { Uploads } from './uploads.ts';
import { Workplace } from './workplace.ts';

/**
 * In milliseconds: the wait for an earlier save of the same user to reach S3, and the limit for all of a furnishing.
 */
const EARLIER_SAVES = 10_000;
const FURNISHING = 5 * 60_000;
const PACKED_AT_A_TIME = 3;

/** The directions in which encrypted bytes are counted. */
export const DIRECTIONS = ['saved', 'restored'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** Problems with a user's files that an operator must know about, apart from a container that starts without them. */
export const ALARMS = ['rolled_back', 'too_large'] as const;
export type Alarm = (typeof ALARMS)[number];

export interface UserConfigsOptions {
  readonly bucket: string;
  readonly region: string;
  /** Of an S3 service other than Amazon's. */
  readonly endpoint: URL | undefined;
  /** The directory of the spool, which only root can write to. */
  readonly spool: string;
  /** The directory for what this host knows about current saves, which only root can write to. */
  readonly seen: string;
  /** The maximum size of the spool in bytes. */
  readonly spoolLimit: number;
  /** The maximum size of one user's files in bytes. */
  readonly limit: number;
  /** Whether the predecessor's files are read if the user has no others. */
  readonly readsOldFormat: boolean;
  /** The webserver's secret, with which operators sign their choices. */
  readonly secret: Secret;
  /** The number of versions that are kept in S3 for each user and app. */
  readonly versions: number;
  /** Called with each save on this host's disk and with each restored config; must not throw. */
  readonly onBytes?: ((direction: Direction, bytes: number) => void) | undefined;
  /** Called with each alarm; must not throw. */
  readonly onAlarm?: ((alarm: Alarm) => void) | undefined;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly log: Logger;
}

/** A user and an app. */
export interface Whose {
  readonly userId: string;
  readonly appName: string;
}

/** A container's request for its user's files. */
export interface Request extends Whose {
  readonly token: string;
  /** Unique hexadecimal digits. */
  readonly session: string;
  /** The container's own directory, and the directory in which it sees the user's files; both on one filesystem. */
  readonly own: string;
  readonly files: string;
}

/** The container reads this word, which says how the restore went. */
export type Outcome = 'new' | 'restored' | 'damaged' | 'unavailable';

/** How much there is to save, and how fast uploads are. */
export interface ToSave {
  readonly sessions: number;
  readonly bytes: number;
  /** Bytes per second; undefined if unknown. */
  readonly perSecond: number | undefined;
}

/** The result of starting a session. */
export interface Begun {
  readonly session: Session;
  readonly outcome: Outcome;
  /** A `config.rolled_back` error, if there is a suspicion. */
  readonly alarm: ServiceError | undefined;
}

export class UserConfigs {
  readonly #options: UserConfigsOptions;
  readonly #spool: Spool;
  readonly #seen: Seen;
  readonly #uploads: Uploads;
  readonly #packing = pLimit(PACKED_AT_A_TIME);
  readonly #sessions = new Set<Session>();
  readonly #storeAt: (prefix: string) => ConfigStore;

  static async open(lifetime: Lifetime, options: UserConfigsOptions): Promise<UserConfigs> {
    const { bucket, region, endpoint, log } = options;
    const [{ openS3 }, { ConfigStore }] = await Promise.all([import('./s3-client.ts'), import('./store.ts')]);
    const client = openS3(region, endpoint);
    await lifetime.defer('closing connections to S3', () => client.destroy());
    const buffers = new PartBuffers();
    const storeAt = (prefix: string) => new ConfigStore({ client, bucket, prefix, buffers });
    const spool = await Spool.open(options.spool, options.spoolLimit, log);
    const seen = await Seen.open(options.seen, bucket, log);
    const uploads = new Uploads({ spool, seen, storeAt, keep: options.versions, log });
    return new UserConfigs(options, spool, seen, uploads, storeAt);
  }

  private constructor(
    options: UserConfigsOptions,
    spool: Spool,
    seen: Seen,
    uploads: Uploads,
    storeAt: (prefix: string) => ConfigStore,
  ) {
    this.#options = options;
    this.#spool = spool;
    this.#seen = seen;
    this.#uploads = uploads;
    this.#storeAt = storeAt;
  }

  /**
   * Brings a user's files to a container. If they are unavailable, the container starts without them, and its saves are
   * stored aside.
   * @throws the reason of `signal`, or {ServiceError} `host.filesystem`
   */
  async begin(request: Request, signal: AbortSignal): Promise<Begun> {
    const { userId, appName, token, session, own, files } = request;
    const prefix = prefixOf(userId, appName);
    const identity = deriveIdentity(token);
    const stampKey = deriveStampKey(token);
    const place = await Workplace.open(own, files, this.#options.limit);
    const sources = new Sources({
      spool: this.#spool,
      prefix,
      store: this.#storeAt(prefix),
      bucket: this.#storeAt(''),
      most: mostOfArchive(this.#options.limit),
      oldKey: this.#options.readsOldFormat ? oldKeyOf(userId, appName) : undefined,
    });
    const { log, secret, now = Date.now } = this.#options;
    const { outcome, basis, base, generation, doubt } = await this.#attempt(
      session,
      signal,
      async (limited) => {
        await this.#awaitEarlierSaves(prefix, limited);
        const keys = { identity, stampKey, token, secret: secret.reveal() };
        return await furnish({ sources, place, prefix, seen: this.#seen, ...keys, now, log }, limited);
      },
    );
    const record: SessionRecord = {
      prefix,
      session,
      sequence: 0,
      recipient: recipientOf(identity).toString('base64'),
      isAside: outcome === 'damaged' || outcome === 'unavailable',
      ...(basis && { basis }),
      stamp: { key: stampKey.toString('base64'), generation: generation + 1 },
    };
    const alarm = doubt === undefined ? undefined : this.#alarm(session, doubt);
    return { session: await this.#open(record, own, place, base), outcome, alarm };
  }

  /** Resumes the session of a container whose service crashed. */
  async resume(record: SessionRecord, own: string, files: string): Promise<Session> {
    return await this.#open(record, own, await Workplace.open(own, files, this.#options.limit));
  }

  /** Reports that files are too large and will not be saved. */
  tellTooLarge(): void {
    this.#options.onAlarm?.('too_large');
  }

  /** The stored versions of a user's files, the latest first. @throws {ServiceError} `config.store` */
  async versionsOf({ userId, appName }: Whose, signal: AbortSignal): Promise<Listed[]> {
    return await listVersions(this.#storeAt(prefixOf(userId, appName)), signal);
  }

  /**
   * Chooses the version for the user's next container.
   * @throws {ServiceError} `config.no_version`, `config.busy`, `config.store`
   */
  async restore({ userId, appName }: Whose, version: string, signal: AbortSignal): Promise<void> {
    const prefix = prefixOf(userId, appName);
    const secret = this.#options.secret.reveal();
    await restoreVersion({ store: this.#storeAt(prefix), prefix, secret }, version, signal);
  }

  /** The files that wait for their upload, including saves in progress. */
  get waiting(): { readonly files: number; readonly bytes: number } {
    return { files: this.#spool.list().length, bytes: this.#spool.bytes };
  }

  /** The maximum that the end of all sessions would upload, according to the last saves. */
  get toSave(): ToSave {
    const sessions = [...this.#sessions];
    const bytes = sessions.reduce((sum, session) => sum + session.bytes, this.#spool.bytes);
    return { sessions: sessions.length, bytes, perSecond: this.#uploads.perSecond };
  }

  /** Resolves when everything that waits is in S3. */
  async uploaded(): Promise<void> {
    await this.#uploads.idle();
  }

  /**
   * Tries to upload everything that waits until `late` aborts, and then stops.
   * @returns the number of saves that are left on this host
   */
  async finish(late: AbortSignal): Promise<number> {
    return await this.#uploads.finish(late);
  }

  /** Leaves everything that waits to the next service. */
  async leave(): Promise<void> {
    await this.#uploads.stop();
  }

  async #open(
    record: SessionRecord,
    own: string,
    place: Workplace,
    base?: Furnished['base'],
  ): Promise<Session> {
    const [spool, uploads, packing] = [this.#spool, this.#uploads, this.#packing];
    const onSaved = (bytes: number) => this.#options.onBytes?.('saved', bytes);
    const parts = { record, own, place, spool, uploads, packing, onSaved };
    const session = await Session.open(parts, base, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  }

  async #attempt(
    session: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Furnished>,
  ): Promise<Omit<Furnished, 'how' | 'bytes'> & { readonly outcome: Outcome }> {
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(FURNISHING)]);
      const { how, bytes, ...furnished } = await work(limited);
      this.#options.onBytes?.('restored', bytes);
      return { outcome: how, ...furnished };
    } catch (error) {
      signal.throwIfAborted();
      const outcome = isDamaged(error) ? 'damaged' : 'unavailable';
      const why = messageOf(error);
      this.#options.log.error({ session, why, outcome }, 'a container starts without its user config');
      return { outcome, generation: 0 };
    }
  }

  #alarm(session: string, why: string): ServiceError {
    const alarm = new ServiceError('config.rolled_back', { why });
    this.#options.log.error({ session, error: alarm }, messageOf(alarm));
    this.#options.onAlarm?.('rolled_back');
    return alarm;
  }

  /** For example, those of the user's previous container on this host, which may have just ended. */
  async #awaitEarlierSaves(prefix: string, signal: AbortSignal): Promise<void> {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(EARLIER_SAVES)]);
    await this.#uploads.hurry(prefix, soon).catch(() => {});
  }
}
