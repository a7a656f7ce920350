/**
 * The terminals of the previous service. This service takes over each terminal whose state and connection it
 * has. The others end, and nothing else fails.
 */

import { isContainerId } from '../../container/identity.ts';
import type { Tracker } from '../../container/tracker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { Exec } from '../../docker-engine/exec.ts';
import { hangUp } from '../../docker-engine/terminal-processes.ts';
import { messageOf } from '../../errors/service-error.ts';
import type { Descriptors } from '../../lifetime/descriptors.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Nodes } from '../../managed-nodes/nodes.ts';
import { isRecord, misfit } from '../../parsing/json.ts';
import {
  connectionOf,
  exitOf,
  HandedInContainer,
  HandedOnHost,
  type HandedTerminal,
} from '../../ttys/handed-terminal.ts';
import { endLeftShell } from '../../ttys/host-shell.ts';

/** The log message for a terminal that cannot be taken over. */
const NOT_TAKEN = 'a terminal of the previous service cannot be taken over, so it ends';

export class LeftTerminals {
  readonly #terminals: readonly HandedTerminal[];
  readonly #descriptors: Descriptors;
  readonly #log: Logger;

  /** @param handed as the previous service has written it */
  constructor(handed: readonly unknown[], descriptors: Descriptors, log: Logger) {
    this.#descriptors = descriptors;
    this.#log = log;
    this.#terminals = handed.flatMap((one) => (this.#fits(one) ? [one] : []));
  }

  #fits(one: unknown): one is HandedTerminal {
    const schema = isRecord(one) && 'shell' in one ? HandedOnHost : HandedInContainer;
    const why = misfit(schema, one) ?? this.#whyNotConnected(one as HandedTerminal);
    if (why === undefined) return true;
    this.#log.error({ ...(isRecord(one) && { terminal: one.id }), why }, NOT_TAKEN);
    return false;
  }

  #whyNotConnected(one: HandedTerminal): string | undefined {
    const needed = [connectionOf(one.id), ...('shell' in one ? [exitOf(one.id)] : [])];
    return needed.every((name) => this.#descriptors.has(name))
      ? undefined
      : 'its connection was not passed on';
  }

  /** Their programs keep running until this service takes them over. */
  get ids(): ReadonlySet<string> {
    return new Set(this.#terminals.map(({ id }) => id));
  }

  /** Never rejects. */
  async takeOver(tracker: Tracker, nodes: Pick<Nodes, 'lend'> | undefined): Promise<void> {
    await Promise.all(this.#terminals.map((one) => this.#takeOver(one, tracker, nodes)));
  }

  async #takeOver(
    left: HandedTerminal,
    tracker: Tracker,
    nodes: Pick<Nodes, 'lend'> | undefined,
  ): Promise<void> {
    try {
      if ('shell' in left) await this.#takeOverOnHost(left, tracker);
      else await this.#takeOverInContainer(left, tracker, nodes);
    } catch (error) {
      const { id: terminal } = left;
      this.#log.error({ terminal, why: messageOf(error) }, NOT_TAKEN);
      await endPrograms(left).catch((failed: unknown) =>
        this.#log.error({ terminal, error: failed }, messageOf(failed)),
      );
    }
  }

  async #takeOverOnHost(left: HandedOnHost, { lifetime, host: { terminals } }: Tracker): Promise<void> {
    await terminals.takeOverOnHost(lifetime, left, () => ({
      connection: this.#take(connectionOf(left.id)),
      exit: this.#take(exitOf(left.id)),
    }));
  }

  async #takeOverInContainer(
    left: HandedInContainer,
    tracker: Tracker,
    nodes: Pick<Nodes, 'lend'> | undefined,
  ): Promise<void> {
    const { id, exec } = left;
    const { docker, terminals } = tracker.host;
    await terminals.takeOver(lifetimeFor(left, tracker, nodes), left, () =>
      Exec.takeOver(docker, exec, id, this.#take(connectionOf(id))),
    );
  }

  #take(name: string): number {
    return this.#descriptors.take(name) as number;
  }
}

async function endPrograms(left: HandedTerminal): Promise<void> {
  if ('shell' in left) return await endLeftShell(left.shell);
  const { session, dockerId } = left.exec;
  await hangUp({ dockerId: dockerId as DockerId, terminal: left.id, session });
}

/** @throws Error if its container does not run any more */
function lifetimeFor(
  { container }: HandedInContainer,
  tracker: Tracker,
  nodes: Pick<Nodes, 'lend'> | undefined,
): Lifetime {
  const lifetime = isContainerId(container)
    ? tracker.byId(container)?.lend('terminal')
    : nodes?.lend(container);
  if (!lifetime) throw new Error('its container has ended');
  return lifetime;
}
