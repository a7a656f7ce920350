/**
 * The user's files in one container: brought to it once, when it is set up; saved every few minutes while it lives,
 * if something changed; and saved as a whole when it was proven gone. Until then its directories stay.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Listed } from '../user-configs/history.ts';
import { readRecord, type Session, type SessionRecord } from '../user-configs/session.ts';
import type { Outcome, UserConfigs } from '../user-configs/user-configs.ts';
import type { ContainerDirectories } from './directories.ts';
import type { ContainerId } from './identity.ts';
import { isFinal, keepFiles } from './kept-files.ts';
import type { Receipts } from './receipts.ts';

/** How a host keeps user configs. */
export interface ConfigKeeping {
  readonly configs: UserConfigs;
  /** Milliseconds between checkpoints. */
  readonly checkpoints: number;
}

export interface UserConfigParts {
  /** undefined where user configs are not kept. */
  readonly keeping: ConfigKeeping | undefined;
  readonly id: ContainerId;
  readonly appName: string;
  readonly directories: ContainerDirectories;
  readonly lifetime: Lifetime;
  readonly receipts: Pick<Receipts, 'warn'>;
  readonly paths: Paths;
  readonly log: Logger;
}

/** The stored versions of one user's files of one app. */
export interface ConfigHistory {
  /** The latest first. */
  list(signal: AbortSignal): Promise<readonly Listed[]>;
  restore(version: string, signal: AbortSignal): Promise<void>;
}

/** Said once of each such container. */
export const NOT_SAVED =
  'files of a user are too large to be saved: the last checkpoint stays current, and they are kept on this host for some hours';
/** Digits of a container id that name its session: enough that no two are the same. */
const SESSION_DIGITS = 16;
/** Milliseconds for saving all files. */
const SAVING = 5 * 60_000;

export class UserConfig {
  readonly #parts: UserConfigParts;
  #furnished: Promise<Outcome | 'none'> | undefined;
  #isUnsaved = false;
  #left: SessionRecord | undefined;
  /** Aborts the pause before the next checkpoint. */
  #hurry = new AbortController();
  /** Those who wait for it; undefined while there are no checkpoints. */
  #waiting: (() => void)[] | undefined;

  constructor(parts: UserConfigParts) {
    this.#parts = parts;
  }

  /**
   * Brings the files of a user, once. That they cannot be had is an outcome, no error; after an error it can be tried again.
   * @param userId empty: nobody, who has none
   * @throws {ServiceError} `host.filesystem`, or the reason of the lifetime's end
   */
  furnish(userId: string, token: string): Promise<Outcome | 'none'> {
    this.#furnished ??= this.#furnish(userId, token).catch((error: unknown) => {
      this.#furnished = undefined;
      throw error;
    });
    return this.#furnished;
  }

  /**
   * What is stored of its user's files, which it shows and changes without naming the user.
   * @param userId undefined: nobody has been assigned
   * @throws {ServiceError} `config.none`
   */
  historyOf(userId: string | undefined): ConfigHistory {
    const { keeping, id, appName } = this.#parts;
    const none = (why: string) => new ServiceError('config.none', { id, why });
    if (!keeping) throw none('this host keeps no user configs; set USER_CONFIG_BUCKET');
    if (userId === undefined) throw none('it is not assigned to a user yet; wait for its start values');
    if (userId === '') throw none('it was assigned without a user id, so nothing is saved');
    const [{ configs }, whose] = [keeping, { userId, appName }];
    return {
      list: (signal) => configs.versionsOf(whose, signal),
      restore: (version, signal) => configs.restore(whose, version, signal),
    };
  }

  /** Saves at once what changed, while the container lives; resolves when that was tried. */
  async checkpoint(): Promise<void> {
    const waiting = this.#waiting;
    if (!waiting) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    this.#hurry.abort();
    await promise;
  }

  /** @throws {ServiceError} `still.there` */
  throwIfUnsaved(): void {
    if (!this.#isUnsaved) return;
    const what = `what the user made in ${this.#parts.directories.userConfig}`;
    throw new ServiceError('still.there', { what, why: 'it is not saved yet' });
  }

  async #furnish(userId: string, token: string): Promise<Outcome | 'none'> {
    const { keeping, receipts, id, appName, directories } = this.#parts;
    if (!keeping || userId === '') return 'none';
    const { own, userConfig: files } = directories;
    const session = id.slice(0, SESSION_DIGITS);
    const request = { userId, appName, token, session, own, files };
    return await this.#hold(keeping, async (signal) => {
      const begun = await keeping.configs.begin(request, signal);
      if (begun.alarm) receipts.warn(id, begun.alarm);
      return begun;
    });
  }

  /** Looks for the session that a dead service left: from now on its files stay until they are saved. */
  async find(): Promise<void> {
    this.#left = await readRecord(this.#parts.directories.own);
    this.#isUnsaved = this.#left !== undefined;
  }

  /**
   * Goes on with that session. Where user configs are not kept any more, its files stay.
   * @throws {ServiceError} `host.filesystem`
   */
  async adopt(): Promise<void> {
    const { keeping, directories } = this.#parts;
    const { own, userConfig } = directories;
    const record = this.#left;
    if (!record || !keeping) return;
    const outcome = record.isAside ? 'unavailable' : record.basis ? 'restored' : 'new';
    this.#furnished = this.#hold(keeping, async () => {
      return { session: await keeping.configs.resume(record, own, userConfig), outcome };
    });
    await this.#furnished;
  }

  async #hold(
    { checkpoints }: ConfigKeeping,
    begin: (signal: AbortSignal) => Promise<{ session: Session; outcome: Outcome }>,
  ): Promise<Outcome> {
    const { directories, lifetime } = this.#parts;
    const begun = await lifetime.acquire({
      kind: 'user config',
      what: directories.userConfig,
      take: async (signal) => {
        const taken = await begin(signal);
        this.#isUnsaved = true;
        return { ...taken, saved: '' };
      },
      release: async (taken, signal) => {
        taken.saved = await this.#save(taken.session, signal);
        this.#isUnsaved = false;
      },
      seenGone: ({ saved }) => saved,
      deadline: SAVING,
    });
    void lifetime.track('checkpoints', this.#keepCheckpoints(begun.session, checkpoints));
    return begun.outcome;
  }

  /** @returns how it is known that they are saved, or where they are kept because they never can be */
  async #save(session: Session, signal: AbortSignal): Promise<string> {
    const { keeping, receipts, paths, id, directories, log } = this.#parts;
    try {
      return await session.save(signal);
    } catch (error) {
      if (!isFinal(error)) throw error;
      session.abandon();
      const path = await keepFiles(paths, id, directories.own);
      receipts.warn(id, error);
      keeping?.configs.tellTooLarge();
      log.error({ error, path }, NOT_SAVED);
      return `too large to be saved; kept in ${path}`;
    }
  }

  /** Until the lifetime ends. */
  async #keepCheckpoints(session: Session, milliseconds: number): Promise<void> {
    const { lifetime, log } = this.#parts;
    const { signal } = lifetime;
    const waiting: (() => void)[] = [];
    this.#waiting = waiting;
    for (;;) {
      const early = AbortSignal.any([signal, this.#hurry.signal]);
      await pause(milliseconds, undefined, { signal: early, ref: false }).catch(() => {});
      if (signal.aborted) break;
      this.#hurry = new AbortController();
      const answered = waiting.splice(0);
      try {
        const saved = await session.checkpoint(signal);
        log.debug({ bytes: saved?.file.bytes ?? 0 }, 'checkpoint of the user config');
      } catch (error) {
        if (!signal.aborted) log.warn({ why: messageOf(error) }, 'a checkpoint of the user config failed');
      }
      for (const answer of answered) answer();
    }
    this.#waiting = undefined;
    // Now everything is saved as a whole.
    for (const answer of waiting) answer();
  }
}
