/**
 * The host ports that managed nodes claim. No hosted container gets one of them, even while the node does not run and
 * the port is free. A file keeps the claims for the next service, which may start long before it has read the feed.
 */

import { readFile } from 'node:fs/promises';
import { type Static, Type } from 'typebox';
import { isSystemError } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import { misfit } from '../parsing/json.ts';
import { writeFileAtomically } from './atomic-file.ts';

const ClaimedPort = Type.Object({ port: Type.Integer(), protocol: Type.String() });
export type ClaimedPort = Readonly<Static<typeof ClaimedPort>>;
const Kept = Type.Record(Type.String(), Type.Array(ClaimedPort));

export class ClaimedPorts {
  #byNode: ReadonlyMap<string, readonly ClaimedPort[]> = new Map();
  #claimed: ReadonlySet<string> = new Set();
  #file: { readonly path: string; readonly log: Logger } | undefined;

  /** Restores the claims from the file, and stores later claims in it. */
  async keepIn(path: string, log: Logger): Promise<void> {
    this.#file = { path, log };
    try {
      const found: unknown = JSON.parse(await readFile(path, 'utf8'));
      const why = misfit(Kept, found);
      if (why !== undefined) throw new Error(why);
      this.#set(new Map(Object.entries(found as Static<typeof Kept>)));
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return;
      log.warn({ error, path }, 'the ports of nodes are not known until the feed has been read');
    }
  }

  /**
   * Replaces all claims.
   * @param unknown nodes whose ports the feed does not contain; they keep their claims
   */
  async claim(
    ports: ReadonlyMap<string, readonly ClaimedPort[]>,
    unknown: Iterable<string> = [],
  ): Promise<void> {
    const kept = [...unknown].flatMap((node) => {
      const before = this.#byNode.get(node);
      return before ? [[node, before] as const] : [];
    });
    const before = this.#text;
    this.#set(new Map([...kept, ...ports]));
    if (this.#file && this.#text !== before) await this.#keep(this.#file);
  }

  has(protocol: string, port: number): boolean {
    return this.#claimed.has(`${protocol} ${port}`);
  }

  get #text(): string {
    return JSON.stringify(Object.fromEntries(this.#byNode));
  }

  #set(byNode: ReadonlyMap<string, readonly ClaimedPort[]>): void {
    this.#byNode = byNode;
    const all = [...byNode.values()].flat();
    this.#claimed = new Set(all.map(({ port, protocol }) => `${protocol} ${port}`));
  }

  async #keep({ path, log }: { readonly path: string; readonly log: Logger }): Promise<void> {
    await writeFileAtomically(path, this.#text, 0o600).catch((error: unknown) =>
      log.warn({ error }, 'the ports of nodes are not kept for the next service'),
    );
  }
}
