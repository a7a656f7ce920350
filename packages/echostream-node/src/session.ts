/** The internals of a node: its options, and its connection once it is signed in. */

import type { ReceiveEdge } from './api/queries.ts';
import type { Audits } from './audits.ts';
import { type Connection, connect } from './connection.ts';
import { EchoStreamError } from './errors.ts';
import type { ResolvedNodeOptions } from './options.ts';
import type { Target } from './sending/target.ts';
import { makeTelemetry, type Telemetry } from './telemetry.ts';

export class Session {
  readonly options: ResolvedNodeOptions;
  readonly telemetry: Telemetry;
  #connection: Connection | undefined;

  constructor(options: ResolvedNodeOptions) {
    this.options = options;
    this.telemetry = makeTelemetry(options.name);
  }

  /** @throws EchoStreamError NOT_STARTED */
  get connection(): Connection {
    if (this.#connection) return this.#connection;
    throw new EchoStreamError(
      'NOT_STARTED',
      `The node ${this.options.name} is not started. Await its start() first.`,
    );
  }

  /** The edges over which the node receives. */
  get sourceEdges(): readonly ReceiveEdge[] {
    const { receiveEdge, receiveEdges } = this.connection.node;
    return receiveEdges ?? (receiveEdge ? [receiveEdge] : []);
  }

  async connect(signal?: AbortSignal): Promise<void> {
    this.#connection ??= await connect(this.options, this.telemetry, signal);
  }

  /** Resolves when all sent messages and audit records are delivered. */
  async settle(): Promise<void> {
    await Promise.all(this.#outgoing().map((one) => one.settle()));
  }

  /** Drops messages and records that are not delivered yet. */
  close(): void {
    for (const one of this.#outgoing()) one.close();
    this.#connection?.close();
  }

  #outgoing(): readonly (Target | Audits)[] {
    if (!this.#connection) return [];
    return [...this.#connection.targets.living, ...this.#connection.audits.values()];
  }
}
