/**
 * The record on disk of what is held, for the process that cleans up after a crash. It is on a tmpfs, because the
 * recorded resources do not outlive the host's boot either, and because its secrets must not reach a disk.
 *
 *   <page>/<digest>.json  one holding, from before it is taken until it was observed to be gone
 *   <page>/facts.json     what the owner of the page says about itself
 *
 * A page belongs to one owner: a container by its id, or a part of the service by its kind. A call returns only after
 * the record is written, which takes microseconds. A record that is still in memory when the process crashes would be a
 * leak.
 *
 * INVARIANTS
 * - One process at a time uses it, and writes nothing before it has opened it.
 * - A resource that cannot be recorded is not taken.
 * - A page is removed with its last holding, including anything that another process may have left there.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import type { Holding, HoldingEvent, Owner } from './holdings.ts';

/** A holding as it is recorded. */
export type Entry = Pick<Holding, 'kind' | 'what' | 'owner' | 'lifetime'>;

/** An entry as any version of the service has written it. */
type Written = Omit<Entry, 'owner' | 'lifetime'> & {
  readonly version?: number;
  readonly owner: Owner | string;
  readonly lifetime?: string;
};

export interface Page {
  readonly name: string;
  readonly entries: readonly Entry[];
  /** undefined if the owner died before it wrote any. */
  readonly facts: unknown;
}

const FACTS = 'facts.json';
/** The version of the entry format. Version 1 had no such field and used the name of the lifetime as the owner. */
const VERSION = 2;

export class Ledger {
  readonly #directory: string;
  /** The file names of the entries that this process has written, by page. */
  readonly #written = new Map<string, Set<string>>();
  #isOpen = false;

  /** @param directory one that only root can write; created with the first record */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Only the process that holds the lock may call this.
   * @returns the pages that another process has left
   * @throws {ServiceError} `ledger.newer`
   */
  open(): Page[] {
    this.#isOpen = true;
    return namesIn(this.#directory).map((page) => this.#read(page));
  }

  /**
   * Records an event of the table of holdings.
   * @throws {ServiceError} `ledger.not_written`, for a resource that is about to be taken
   */
  observe({ step, holding }: HoldingEvent): void {
    if (!this.#isOpen) return;
    if (step === 'taking') this.#write(holding);
    else if (step === 'gone' || step === 'not taken') this.#strike(holding);
  }

  /** Replaces the facts of a page's owner. @throws {ServiceError} `ledger.not_written` */
  note(page: string, facts: object): void {
    if (this.#isOpen) this.#put(page, FACTS, facts);
  }

  #strike(entry: Entry): void {
    const page = pageOf(entry.owner);
    const name = nameOf(entry);
    rmSync(join(this.#directory, page, name), { force: true });
    const left = this.#written.get(page);
    left?.delete(name);
    if (left?.size === 0) this.remove(page);
  }

  /** Removes a page after everything on it was observed to be gone. */
  remove(page: string): void {
    rmSync(join(this.#directory, page), { recursive: true, force: true });
    this.#written.delete(page);
    try {
      rmdirSync(this.#directory);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ENOTEMPTY')) throw error;
    }
  }

  #write({ kind, what, owner, lifetime }: Holding): void {
    const entry: Entry = { kind, what, owner, lifetime };
    const page = pageOf(owner);
    const name = nameOf(entry);
    this.#put(page, name, { version: VERSION, ...entry });
    this.#written.get(page)?.add(name);
  }

  #put(page: string, name: string, content: object): void {
    const directory = join(this.#directory, page);
    const draft = join(directory, `.${name}`);
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      if (!this.#written.has(page)) this.#written.set(page, new Set());
      writeFileSync(draft, JSON.stringify(content), { mode: 0o600 });
      renameSync(draft, join(directory, name));
    } catch (error) {
      // A page that was never written is not kept.
      if (this.#written.get(page)?.size === 0) this.#written.delete(page);
      this.#undo(directory, draft);
      throw new ServiceError(
        'ledger.not_written',
        { directory: this.#directory, why: messageOf(error) },
        { cause: error },
      );
    }
  }

  /** Leaves the files of another process on the page. */
  #undo(directory: string, draft: string): void {
    try {
      rmSync(draft, { force: true });
      rmdirSync(directory);
      rmdirSync(this.#directory);
    } catch {
      // The directory is not empty, or does not exist.
    }
  }

  #read(name: string): Page {
    const directory = join(this.#directory, name);
    const names = namesIn(directory);
    const written = names.filter(isEntry).flatMap((one) => (parse(join(directory, one)) as Written) ?? []);
    const entries = written.map((one) => this.#entryOf(one));
    const facts = names.includes(FACTS) ? parse(join(directory, FACTS)) : undefined;
    return { name, entries, facts };
  }

  #entryOf({ version = 1, ...entry }: Written): Entry {
    if (version > VERSION) throw new ServiceError('ledger.newer', { directory: this.#directory, version });
    if (typeof entry.owner !== 'string') return entry as Entry;
    return { ...entry, owner: ownerNamed(entry.owner), lifetime: entry.owner };
  }
}

/** @returns the name of the page for this owner's holdings */
function pageOf({ kind, id }: Owner): string {
  return id ?? kind;
}

function isEntry(name: string): boolean {
  return !name.startsWith('.') && name !== FACTS;
}

function nameOf({ kind, what, lifetime }: Entry): string {
  const digest = createHash('sha256').update(JSON.stringify([kind, what, lifetime]));
  return `${digest.digest('hex').slice(0, 32)}.json`;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

/** @returns undefined if a reader without the lock finds that the file has been removed meanwhile */
function parse(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** @param name the name of the lifetime, which version 1 recorded as the owner */
function ownerNamed(name: string): Owner {
  const [, maker, id] = /^(docker container of|.*\bcontainer) ([0-9a-f]{60})$/.exec(name) ?? [];
  if (id) return { kind: maker === 'docker container of' ? 'docker container' : 'container', id };
  return { kind: name === 'ecs agent' ? 'ecs-agent' : 'service' };
}
