/**
 * The user's files in one container. They are restored once, during the set-up. Changes are saved every few minutes
 * while the container runs, and all files are saved when it is proven gone. Until then its directories stay.
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
  /** undefined if user configs are not kept. */
  readonly keeping: ConfigKeeping | undefined;
  readonly id: ContainerId;
  readonly appName: string;
  readonly directories: ContainerDirectories;
  readonly lifetime: Lifetime;
  readonly receipts: Pick<Receipts, 'warn'>;
  readonly paths: Paths;
  readonly log: Logger;
}

/** The stored versions of one user's files for one app. */
export interface ConfigHistory {
  /** The latest comes first. */
  list(signal: AbortSignal): Promise<readonly Listed[]>;
  restore(version: string, signal: AbortSignal): Promise<void>;
}

/** Logged once for each such container. */
export const NOT_SAVED =
  'files of a user are too large to be saved: the last checkpoint stays current, and they are kept on this host for some hours';
/** The digits of the container id that name its session. They are enough to be unique. */
const SESSION_DIGITS = 16;
/** The time limit for saving all files, in milliseconds. */
const SAVING = 5 * 60_000;

export class UserConfig {
  readonly #parts: UserConfigParts;
  #furnished: Promise<Outcome | 'none'> | undefined;
  #isUnsaved = false;
  #left: SessionRecord | undefined;
  /** Aborts the pause before the next checkpoint. */
  #hurry = new AbortController();
  /** The callers that wait for the next checkpoint; undefined while there are no checkpoints. */
  #waiting: (() => void)[] | undefined;

  constructor(parts: UserConfigParts) {
    this.#parts = parts;
  }

  /**
   * Restores a user's files once. If they are unavailable, that is an outcome and no error. After an error it can be
   * called again.
   * @param userId empty: no user, and so no files
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
   * The stored versions of its user's files. The result does not contain the user's name.
   * @param userId undefined: the container is not assigned
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

  /** Saves the changes at once while the container runs. Resolves when that was attempted. */
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

  /** Finds the session that a crashed service left. From then on, its files stay until they are saved. */
  async find(): Promise<void> {
    this.#left = await readRecord(this.#parts.directories.own);
    this.#isUnsaved = this.#left !== undefined;
  }

  /**
   * Resumes that session. If user configs are no longer kept, its files stay.
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

  /** @returns how it is known that they are saved, or where they are kept because they can never be saved */
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

  /** Runs until the lifetime ends. */
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
    // The final save of all files replaces the checkpoint.
    for (const answer of waiting) answer();
  }
}
