/**
 * The receipt of each container that has ended: what it was and why it ended, and of each resource when it was
 * allotted, when released, and how it was seen gone. It is a line of the log and a file; what is released later, such
 * as the Docker container that outlives it, is written into the file then.
 *
 * It is made of states and holdings, so that of what a user sent nothing is in it but the name of the app. One that
 * cannot be written is logged and hinders no end.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { ErrorCode } from '../errors/table.ts';
import { removeDrafts, writeFileAtomically } from '../host/atomic-file.ts';
import { removeOldest } from '../host/old-files.ts';
import type { Holding, HoldingEvent } from '../lifetime/holdings.ts';
import type { Logger } from '../logging/logger.ts';
import type { Purpose } from './facts.ts';
import { type ContainerId, isContainerId } from './identity.ts';
import type { Role } from './labels.ts';
import type { Cause, State, Transition } from './state.ts';

/** In the file, times are ISO 8601, in UTC, to the millisecond. */
export interface Receipt {
  readonly container: ContainerId;
  /** Left out when Docker did not make it. */
  readonly docker: DockerId | undefined;
  readonly role: Role;
  readonly app: string;
  /** Left out when it is of no ECS task. */
  readonly task: string | undefined;
  readonly began: Date;
  readonly ended: Date | undefined;
  /** Why it ended. */
  readonly cause: string | undefined;
  readonly code: Cause['code'] | undefined;
  readonly states: readonly Passed[];
  /** Left out when there are none. */
  readonly warnings?: readonly Warning[] | undefined;
  readonly resources: readonly Receipted[];
}

/** What an operator must know of what became of its user's files. */
export interface Warning {
  readonly at: Date;
  readonly code: ErrorCode;
  readonly text: string;
}

/** A state that it came to. */
export interface Passed {
  readonly state: State;
  readonly at: Date;
  readonly code?: Cause['code'];
  readonly cause?: string;
}

/** A resource: without `released` it is still held. */
export interface Receipted {
  readonly kind: string;
  readonly what: string;
  readonly allotted: Date;
  readonly released?: Date;
  /** How it was seen gone. */
  readonly seen?: string;
  /** Why it could not be released so far. */
  readonly failed?: string;
}

/** As it is written. */
export type Written = { readonly [Field in keyof Receipt]: AsText<Receipt[Field]> };
type AsText<T> = T extends Date ? string : T extends readonly (infer Item)[] ? AsTextFields<Item>[] : T;
type AsTextFields<T> = { readonly [Field in keyof T]: T[Field] extends Date | undefined ? string : T[Field] };

/** What is known of a container, until nothing of it is held. */
interface Gathered {
  readonly id: ContainerId;
  readonly purpose: Purpose;
  readonly states: [Passed, ...Passed[]];
  readonly warnings: Warning[];
  readonly resources: Map<Holding, Receipted>;
  docker?: DockerId | undefined;
  /** Once it has ended: the last writing of its file. */
  written?: Promise<void>;
}

/** Files that stay when the service starts. */
const MOST_FILES = 1000;
/** Containers that have ended, and of which something is still held, that are remembered. */
const MOST_ENDED = 1000;
/** Terminals that are told of in one receipt: there may be any number within the life of a container. */
const MOST_TERMINALS = 100;

export class Receipts {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #gathered = new Map<string, Gathered>();

  /** @param directory where the files are; it must be there when a container ends */
  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#log = log;
  }

  /** Removes all files but the newest 1000, and halves of some that a service which died left. Never rejects. */
  async removeOld(): Promise<void> {
    try {
      await removeDrafts(this.#directory);
      await removeOldest(this.#directory, MOST_FILES);
    } catch (error) {
      this.#log.warn({ why: messageOf(error) }, 'could not remove old receipts');
    }
  }

  /** A container begins: from now on it is gathered what happens to it, and to what it holds. */
  begin(id: ContainerId, purpose: Purpose): void {
    const preparing: Passed = { state: 'preparing', at: new Date() };
    this.#gathered.set(id, { id, purpose, states: [preparing], warnings: [], resources: new Map() });
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

  /** Of the table of holdings. When the container has ended already, it resolves after the file was written. */
  async note(event: HoldingEvent): Promise<void> {
    const { step, holding } = event;
    const gathered = this.#gathered.get(holding.owner.id ?? '');
    if (!gathered || step === 'taking' || step === 'not taken') return;
    const { kind, what, takenAt = new Date() } = holding;
    const { allotted } = gathered.resources.get(holding) ?? { allotted: takenAt };
    gathered.resources.set(holding, { kind, what, allotted, ...outcomeOf(event) });
    if (step === 'gone' && kind === 'terminal') forgetOldestTerminal(gathered.resources);
    if (gathered.written && step !== 'releasing') await this.#write(gathered);
  }

  /** The container is gone. Resolves when its file was written, or could not be. */
  async end(id: ContainerId, docker: DockerId | undefined): Promise<void> {
    const gathered = this.#gathered.get(id);
    if (!gathered) return;
    gathered.docker = docker;
    this.#log.info({ container: id, receipt: receiptOf(gathered) }, 'receipt');
    await this.#write(gathered);
  }

  /**
   * The receipt of a container that has ended, or of one that has not, so far.
   * @param name its container id, or as many of its first digits as no other one has
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

  /** In turns: what was known last is what stays. */
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
      const text = `${JSON.stringify(receiptOf(gathered), null, 2)}\n`;
      await writeFileAtomically(join(this.#directory, `${container}.json`), text, 0o600);
    } catch (error) {
      this.#log.warn({ container, why: messageOf(error) }, 'could not write a receipt');
    }
  }

  #forgetOldest(): void {
    const ended = [...this.#gathered.values()].filter(({ written }) => written !== undefined);
    if (ended.length > MOST_ENDED) this.#gathered.delete(ended[0]?.id ?? '');
  }
}

function forgetOldestTerminal(resources: Map<Holding, Receipted>): void {
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
    began: states[0].at,
    ended: states.find(({ state }) => state === 'gone')?.at,
    cause: ending?.cause,
    code: ending?.code,
    states,
    warnings: warnings.length > 0 ? warnings : undefined,
    resources: [...resources.values()],
  };
}
