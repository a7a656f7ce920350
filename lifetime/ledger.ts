/**
 * The record of what is held, for whoever comes after a death that nobody could see coming. It lies on a tmpfs: what
 * it speaks of does not outlive the host's boot either, and its secrets never reach a disk.
 *
 *   <page>/<digest>.json    one holding, from before it is taken until it was seen gone
 *   <page>/facts.json       what its owner says of itself
 *
 * A page belongs to one owner: a container by its id, or a part of the service by its kind. Everything is written before the call returns, which takes
 * microseconds: a line that a dead process had still in its hands would be a leak.
 *
 * INVARIANTS
 * - It is one process's at a time; before it is opened nothing is written.
 * - What cannot be written down is not taken.
 * - A page goes with the last holding on it, and takes with it what another process may have left there.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import type { Holding, HoldingEvent, Owner } from './holdings.ts';

/** A holding as it is written down. */
export type Entry = Pick<Holding, 'kind' | 'what' | 'owner' | 'lifetime'>;

/** As any version has written it. */
type Written = Omit<Entry, 'owner' | 'lifetime'> & {
  readonly version?: number;
  readonly owner: Owner | string;
  readonly lifetime?: string;
};

export interface Page {
  readonly name: string;
  readonly entries: readonly Entry[];
  /** undefined when the owner died before it said anything. */
  readonly facts: unknown;
}

const FACTS = 'facts.json';
/** Of the form of an entry. Version 1 had none, and the name of the lifetime as its owner. */
const VERSION = 2;

export class Ledger {
  readonly #directory: string;
  /** Names of the entries that this process has written, by page. */
  readonly #written = new Map<string, Set<string>>();
  #isOpen = false;

  /** @param directory of root's; made when something is written */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * To be called by whoever holds the lock. @returns what another process has left in it
   * @throws {ServiceError} `ledger.newer`
   */
  open(): Page[] {
    this.#isOpen = true;
    return namesIn(this.#directory).map((page) => this.#read(page));
  }

  /** Of the table of holdings. @throws {ServiceError} `ledger.not_written`, for what is about to be taken */
  observe({ step, holding }: HoldingEvent): void {
    if (!this.#isOpen) return;
    if (step === 'taking') this.#write(holding);
    else if (step === 'gone' || step === 'not taken') this.#strike(holding);
  }

  /** Replaces what the owner of a page says of itself. @throws {ServiceError} `ledger.not_written` */
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

  /** All of a page: everything on it was seen gone. */
  remove(page: string): void {
    rmSync(join(this.#directory, page), { recursive: true, force: true });
    this.#written.delete(page);
    if (this.#written.size > 0) return;
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
      if (this.#written.get(page)?.size === 0) this.#written.delete(page);
      this.#undo(directory, draft);
      throw new ServiceError(
        'ledger.not_written',
        { directory: this.#directory, why: messageOf(error) },
        { cause: error },
      );
    }
  }

  /** What another process has left on the page stays. */
  #undo(directory: string, draft: string): void {
    try {
      rmSync(draft, { force: true });
      rmdirSync(directory);
      rmdirSync(this.#directory);
    } catch {
      // Something else is there, or nothing was.
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

/** @returns the name of the page on which what it holds stands */
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

/** @returns undefined when it has gone meanwhile, for one that only looks */
function parse(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** @param name of the lifetime that held it, in version 1 */
function ownerNamed(name: string): Owner {
  const [, maker, id] = /^(docker container of|.*\bcontainer) ([0-9a-f]{60})$/.exec(name) ?? [];
  if (id) return { kind: maker === 'docker container of' ? 'docker container' : 'container', id };
  return { kind: name === 'ecs agent' ? 'ecs-agent' : 'service' };
}
