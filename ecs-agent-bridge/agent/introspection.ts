/**
 * A client of the agent's introspection API on its fixed loopback port. The agent answers only after it has registered,
 * so an answer shows that its start is complete.
 */

import { type Static, type TSchema, Type } from 'typebox';
import type { Agent } from 'undici';
import { messageOf } from '../../errors/service-error.ts';
import { withDeadline } from '../../lifetime/deadline.ts';
import { misfit } from '../../parsing/json.ts';

export const INTROSPECTION = new URL('http://127.0.0.1:51678');

/** Limits for one answer: milliseconds, and bytes. The tasks of a full host take some hundreds of KB. */
const PATIENCE = 2000;
const LIMIT = 4 * 2 ** 20;

const METADATA = Type.Object({
  Cluster: Type.String(),
  ContainerInstanceArn: Type.String(),
  Version: Type.String(),
});

const PORT = Type.Object({
  ContainerPort: Type.Integer(),
  Protocol: Type.String(),
  HostPort: Type.Optional(Type.Integer()),
});

const CONTAINER = Type.Object({
  DockerId: Type.String(),
  Name: Type.String(),
  Ports: Type.Optional(Type.Union([Type.Array(PORT), Type.Null()])),
});

const TASK = Type.Object({
  Arn: Type.String(),
  Family: Type.String(),
  Version: Type.String(),
  DesiredStatus: Type.Optional(Type.String()),
  KnownStatus: Type.String(),
  Containers: Type.Union([Type.Array(CONTAINER), Type.Null()]),
});

const TASKS = Type.Object({ Tasks: Type.Union([Type.Array(TASK), Type.Null()]) });

export interface AgentMetadata {
  readonly cluster: string;
  readonly containerInstance: string;
  readonly version: string;
}

export interface AgentTask {
  readonly arn: string;
  readonly family: string;
  readonly knownStatus: string;
  readonly desiredStatus: string | undefined;
  readonly containers: readonly {
    readonly name: string;
    readonly dockerId: string;
    /** Such as `32262/tcp → 20001`. */
    readonly ports: readonly string[];
  }[];
}

export interface AgentDescription extends AgentMetadata {
  readonly tasks: readonly AgentTask[];
}

export class Introspection {
  readonly #base: URL;
  #agent: Promise<Agent> | undefined;

  constructor(base = INTROSPECTION) {
    this.#base = base;
  }

  /** @throws Error when no agent answers in time, or when the answer is not an agent's */
  async metadata(signal?: AbortSignal, milliseconds = PATIENCE): Promise<AgentMetadata> {
    const found = await this.#get('/v1/metadata', METADATA, signal, milliseconds);
    return { cluster: found.Cluster, containerInstance: found.ContainerInstanceArn, version: found.Version };
  }

  /** @throws as `metadata` */
  async describe(): Promise<AgentDescription> {
    return { ...(await this.metadata()), tasks: await this.tasks() };
  }

  /** The tasks that the agent still remembers. @throws as `metadata` */
  async tasks(signal?: AbortSignal): Promise<AgentTask[]> {
    const { Tasks } = await this.#get('/v1/tasks', TASKS, signal, PATIENCE);
    return (Tasks ?? []).map(asTask);
  }

  async #get<T extends TSchema>(
    path: string,
    schema: T,
    signal: AbortSignal | undefined,
    milliseconds: number,
  ): Promise<Static<T>> {
    const url = new URL(path, this.#base);
    try {
      const body = await withDeadline(milliseconds, 'its answer', (late) =>
        this.#ask(url, signal ? AbortSignal.any([late, signal]) : late),
      );
      const found: unknown = JSON.parse(body);
      const why = misfit(schema, found);
      if (why) throw new Error(`its answer is not an ECS agent's: ${why}`);
      return found as Static<T>;
    } catch (error) {
      throw new Error(`the ECS agent does not answer at ${url.href}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #ask(url: URL, signal: AbortSignal): Promise<string> {
    this.#agent ??= open();
    // The connection is not reused, so nothing has to close it.
    const options = { dispatcher: await this.#agent, reset: true, signal };
    const { default: undici } = await import('undici');
    const { statusCode, body } = await undici.request(url, options);
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`status ${statusCode}`);
    return text;
  }
}

async function open(): Promise<Agent> {
  const { default: undici } = await import('undici');
  return new undici.Agent({ maxResponseSize: LIMIT });
}

/** Without duplicates: the agent lists a port for IPv4 and for IPv6. */
function portsOf(all: readonly Static<typeof PORT>[]): string[] {
  const each = all.map((one) => `${one.ContainerPort}/${one.Protocol} → ${one.HostPort ?? 'none'}`);
  return [...new Set(each)];
}

function asTask({
  Arn,
  Family,
  Version,
  DesiredStatus,
  KnownStatus,
  Containers,
}: Static<typeof TASK>): AgentTask {
  return {
    arn: Arn,
    family: `${Family}:${Version}`,
    knownStatus: KnownStatus,
    desiredStatus: DesiredStatus || undefined,
    containers: (Containers ?? []).map(({ Name, DockerId, Ports }) => ({
      name: Name,
      dockerId: DockerId,
      ports: portsOf(Ports ?? []),
    })),
  };
}
