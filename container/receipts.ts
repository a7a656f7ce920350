/**
 * The receipt of each ended container: what it was, why it ended, and for each resource when it was taken, when it was
 * released, and how it was observed to be gone. It is a log line and a file. Later releases, such as that of the Docker
 * container, are added to the file.
 *
 * It consists of states and holdings, so the only data of a user in it is the name of the app. A failed write is logged
 * and does not delay the end.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import type { ErrorCode } from '../errors/table.ts';
import { removeDrafts, writeFileAtomically } from '../host/atomic-file.ts';
import { removeOldest } from '../host/old-files.ts';
import type { HoldingEvent } from '../lifetime/holdings.ts';
import type { Logger } from '../logging/logger.ts';
import type { Purpose } from './facts.ts';
import type { HandedReceipt } from './handed-over.ts';
import { type ContainerId, isContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import type { Cause, State, Transition } from './state.ts';

/** In the file, times are ISO 8601, in UTC, with milliseconds. */
export interface Receipt {
  readonly container: ContainerId;
  /** Missing if Docker did not create it. */
  readonly docker: DockerId | undefined;
  readonly role: Role;
  readonly app: string;
  /** Missing if it belongs to no ECS task. */
  readonly task: string | undefined;
  readonly began: Date;
  readonly ended: Date | undefined;
  /** Why it ended. */
  readonly cause: string | undefined;
  readonly code: Cause['code'] | undefined;
  readonly states: readonly Passed[];
  /** Missing if there are none. */
  readonly warnings?: readonly Warning[] | undefined;
  readonly resources: readonly Receipted[];
}

/** What an operator must know about the user's files. */
export interface Warning {
  readonly at: Date;
  readonly code: ErrorCode;
  readonly text: string;
}

/** A state that the container reached. */
export interface Passed {
  readonly state: State;
  readonly at: Date;
  readonly code?: Cause['code'];
  readonly cause?: string;
}

/** A resource. Without `released`, it is still held. */
export interface Receipted {
  readonly kind: string;
  readonly what: string;
  readonly allotted: Date;
  readonly released?: Date;
  /** How it was observed to be gone. */
  readonly seen?: string;
  /** Why its release has failed so far. */
  readonly failed?: string;
}

/** The JSON form. */
export type Written = { readonly [Field in keyof Receipt]: AsText<Receipt[Field]> };
type AsText<T> = T extends Date ? string : T extends readonly (infer Item)[] ? AsTextFields<Item>[] : T;
type AsTextFields<T> = { readonly [Field in keyof T]: T[Field] extends Date | undefined ? string : T[Field] };

/** What is known about a container until it holds nothing. */
interface Gathered {
  readonly id: ContainerId;
  readonly purpose: Purpose;
  /** The first one is there from the beginning. */
  readonly states: Passed[];
  readonly warnings: Warning[];
  readonly resources: Map<object, Receipted>;
  /** For each resource that the previous service held and this one holds now: when it was taken, by kind and name. */
  readonly earlier: ReadonlyMap<string, Date>;
  docker?: DockerId | undefined;
  /** Set at its end: the last write of its file. */
  written?: Promise<void>;
}

/** The number of files that a start of the service keeps. */
const MOST_FILES = 1000;
/** The maximum number of ended containers with held resources that are remembered. */
const MOST_ENDED = 1000;
/** The maximum number of terminals in one receipt; a container can have any number in its life. */
const MOST_TERMINALS = 100;

export class Receipts {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #gathered = new Map<string, Gathered>();

  /** @param directory the directory of the files; it must exist when a container ends */
  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#log = log;
  }

  /** Removes all but the newest 1000 files, and incomplete files of a crashed service. Never rejects. */
  async removeOld(): Promise<void> {
    try {
      await removeDrafts(this.#directory);
      await removeOldest(this.#directory, MOST_FILES);
    } catch (error) {
      this.#log.warn({ why: messageOf(error) }, 'could not remove old receipts');
    }
  }

  /** Starts to record the states and resources of a container. @param left what the previous service recorded */
  begin(id: ContainerId, purpose: Purpose, left?: HandedReceipt): void {
    this.#gathered.set(id, { id, purpose, ...gatheredIn(left ?? newReceipt()) });
  }

  /** The data with which the next service continues the receipt of a container that has not ended. */
  handed(id: ContainerId): HandedReceipt {
    const gathered = this.#gathered.get(id);
    if (!gathered) throw new Error(`there is no receipt of ${id}`);
    const { states, warnings = [], resources } = JSON.parse(JSON.stringify(receiptOf(gathered)));
    return { states, warnings, resources };
  }

  /** @param docker once it is known */
  moved(id: ContainerId, { to: state, code, cause }: Transition, docker?: DockerId): void {
    const gathered = this.#gathered.get(id);
    if (!gathered) return;
    gathered.states.push({ state, at: new Date(), code, cause });
    gathered.docker = docker;
  }

  warn(id: ContainerId, { code, message: text }: ServiceError): void {
    this.#gathered.get(id)?.warnings.push({ at: new Date(), code, text });
  }

  /**
   * Records an event of the table of holdings. If the container has already ended, it resolves after the file is
   * written.
   */
  async note(event: HoldingEvent): Promise<void> {
    const { step, holding } = event;
    const gathered = this.#gathered.get(holding.owner.id ?? '');
    if (!gathered) return await this.#amend(event);
    if (step === 'taking' || step === 'not taken') return;
    const { kind, what, takenAt = new Date() } = holding;
    const before = gathered.resources.get(holding)?.allotted ?? gathered.earlier.get(nameOf(holding));
    const allotted = before ?? takenAt;
    gathered.resources.set(holding, { kind, what, allotted, ...outcomeOf(event) });
    if (step === 'gone' && kind === 'terminal') forgetOldestTerminal(gathered.resources);
    if (gathered.written && step !== 'releasing') await this.#write(gathered);
  }

  /** Adds the removal of a Docker container to the receipt that an earlier service wrote. */
  async #amend(event: HoldingEvent): Promise<void> {
    const { kind, owner } = event.holding;
    if (event.step !== 'gone' || owner.kind !== 'docker container') return;
    const path = join(this.#directory, `${owner.id}.json`);
    try {
      const { resources, ...others }: Written = JSON.parse(await readFile(path, 'utf8'));
      const gone = { released: new Date(), seen: event.seen };
      const amended = resources.map((one) =>
        one.kind === kind && !one.released ? { ...one, ...gone } : one,
      );
      await write(path, { ...others, resources: amended });
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return;
      this.#log.warn({ container: owner.id, why: messageOf(error) }, 'could not write a receipt');
    }
  }

  /** The container is gone. Resolves when its file was written, or when that failed. */
  async end(id: ContainerId, docker: DockerId | undefined): Promise<void> {
    const gathered = this.#gathered.get(id);
    if (!gathered) return;
    gathered.docker = docker;
    this.#log.info({ container: id, receipt: receiptOf(gathered) }, 'receipt');
    await this.#write(gathered);
  }

  /**
   * The receipt of a container; if it has not ended, the receipt so far.
   * @param name its container id, or the beginning of it if that is unique
   * @throws {ServiceError} `container.no_receipt`, `container.ambiguous`
   */
  async find(name: string): Promise<Written> {
    const files = await readdir(this.#directory).catch(() => []);
    const known = new Set([...this.#gathered.keys(), ...files.map((file) => file.split('.')[0] ?? '')]);
    const [id, ...others] = [...known].filter((one) => one.startsWith(name) && isContainerId(one));
    if (id === undefined) throw new ServiceError('container.no_receipt', { name });
    if (others.length > 0) throw new ServiceError('container.ambiguous', { name });
    const gathered = this.#gathered.get(id);
    if (gathered) return JSON.parse(JSON.stringify(receiptOf(gathered)));
    return JSON.parse(await readFile(join(this.#directory, `${id}.json`), 'utf8'));
  }

  /** Sequential, so that the latest content wins. */
  #write(gathered: Gathered): Promise<void> {
    const { id, written = Promise.resolve() } = gathered;
    gathered.written = written.then(() => this.#writeNow(gathered));
    if ([...gathered.resources.values()].every(({ released }) => released)) this.#gathered.delete(id);
    else this.#forgetOldest();
    return gathered.written;
  }

  async #writeNow(gathered: Gathered): Promise<void> {
    const { id: container } = gathered;
    try {
      await write(join(this.#directory, `${container}.json`), receiptOf(gathered));
    } catch (error) {
      this.#log.warn({ container, why: messageOf(error) }, 'could not write a receipt');
    }
  }

  #forgetOldest(): void {
    const ended = [...this.#gathered.values()].filter(({ written }) => written !== undefined);
    if (ended.length > MOST_ENDED) this.#gathered.delete(ended[0]?.id ?? '');
  }
}

async function write(path: string, receipt: object): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(receipt, null, 2)}\n`, 0o600);
}

type Begun = Pick<Gathered, 'states' | 'warnings' | 'resources' | 'earlier'>;

function newReceipt(): HandedReceipt {
  return { states: [{ state: 'preparing', at: new Date().toISOString() }], warnings: [], resources: [] };
}

function nameOf({ kind, what }: Pick<Receipted, 'kind' | 'what'>): string {
  return `${kind} ${what}`;
}

/** Omits the resources that this service will hold again; they are recorded then. */
function gatheredIn({ states, warnings, resources }: HandedReceipt): Begun {
  const dated = <T extends { readonly at: string }>(one: T) => ({ ...one, at: new Date(one.at) });
  const released = resources.flatMap((one): [object, Receipted][] =>
    one.released === undefined
      ? []
      : [[one, { ...one, allotted: new Date(one.allotted), released: new Date(one.released) }]],
  );
  return {
    states: states.map(dated),
    warnings: warnings.map((one) => dated(one) as Warning),
    resources: new Map(released),
    earlier: new Map(resources.map((one) => [nameOf(one), new Date(one.allotted)])),
  };
}

function forgetOldestTerminal(resources: Map<object, Receipted>): void {
  const ended = [...resources].filter(([, { kind, released }]) => kind === 'terminal' && released);
  const [oldest] = ended.slice(0, -MOST_TERMINALS);
  if (oldest) resources.delete(oldest[0]);
}

function outcomeOf(event: HoldingEvent): Pick<Receipted, 'released' | 'seen' | 'failed'> {
  if (event.step === 'gone') return { released: new Date(), seen: event.seen };
  return 'error' in event ? { failed: messageOf(event.error) } : {};
}

function receiptOf({ id, purpose, docker, states, warnings, resources }: Gathered): Receipt {
  const ending = states.find(({ state }) => state === 'ending');
  return {
    container: id,
    docker,
    role: purpose.role,
    task: purpose.task,
    app: purpose.appName,
    began: (states[0] as Passed).at,
    ended: states.find(({ state }) => state === 'gone')?.at,
    cause: ending?.cause,
    code: ending?.code,
    states,
    warnings: warnings.length > 0 ? warnings : undefined,
    resources: [...resources.values()],
  };
}
