/** Docker calls for the ECS agent's own container that hosted containers do not need. */

import type Dockerode from 'dockerode';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { statusOf } from '../../docker-engine/failures.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { withDeadline } from '../../lifetime/deadline.ts';
import { ByteReader } from '../../parsing/byte-reader.ts';

/** Time limits in milliseconds: for a call that only reads, and for one that changes something. */
const LOOK = 10_000;
const WORK = 120_000;
/** Bytes. */
const LONGEST_PIECE = 16 * 1024;

export interface FoundContainer {
  readonly dockerId: DockerId;
  readonly labels: Readonly<Record<string, string>>;
  /** 0 if it does not run. */
  readonly pid: number;
  readonly exitCode: number;
}

export class AgentDocker {
  readonly #api: Dockerode;

  /** @param socket the Engine's own socket */
  static async open(socket: string): Promise<AgentDocker> {
    const { default: Dockerode } = await import('dockerode');
    return new AgentDocker(new Dockerode({ socketPath: socket }));
  }

  private constructor(api: Dockerode) {
    this.#api = api;
  }

  async hasImage(image: string): Promise<boolean> {
    const found = await call('look for the image of the ECS agent', LOOK, () =>
      this.#api.getImage(image).inspect().catch(unlessMissing),
    );
    return found !== undefined;
  }

  /** @param archive the path of a file that `docker save` wrote */
  async load(archive: string): Promise<void> {
    await call('load the image of the ECS agent', WORK, async () => {
      const progress = await this.#api.loadImage(archive);
      await new Promise<void>((resolve, reject) =>
        this.#api.modem.followProgress(progress, (error) => (error ? reject(error) : resolve())),
      );
    });
  }

  async create(body: Dockerode.ContainerCreateOptions): Promise<DockerId> {
    const { id } = await call("create the ECS agent's container", WORK, (abortSignal) =>
      this.#api.createContainer({ ...body, abortSignal }),
    );
    return id as DockerId;
  }

  /** @param name or docker id @returns undefined if Docker does not know it */
  async find(name: string): Promise<FoundContainer | undefined> {
    const found = await call("inspect the ECS agent's container", LOOK, (abortSignal) =>
      this.#api.getContainer(name).inspect({ abortSignal }).catch(unlessMissing),
    );
    if (!found) return undefined;
    const { Pid: pid, ExitCode: exitCode } = found.State;
    return { dockerId: found.Id as DockerId, labels: found.Config.Labels ?? {}, pid, exitCode };
  }

  /**
   * Reads the output of a container. Resolves when Docker has no more.
   * @param take called with each piece of the output
   * @param since seconds since 1970, with a fraction
   */
  async logs(
    id: DockerId,
    since: number,
    take: (bytes: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await call("read the ECS agent's log", Infinity, async () => {
      const options = { follow: true, stdout: true, stderr: true, since, abortSignal: signal } as const;
      const stream = await this.#api.getContainer(id).logs(options);
      await demultiplex(stream as unknown as AsyncIterable<Uint8Array>, take);
    });
  }
}

/** Source: the Engine's API, "Stream format": one byte for the stream, three zero bytes, four bytes for the length. */
export async function demultiplex(
  stream: AsyncIterable<Uint8Array>,
  take: (bytes: Uint8Array) => void,
): Promise<void> {
  await using bytes = new ByteReader(stream);
  for (;;) {
    const head = await bytes.take(8);
    if (head.length < 8) return;
    for (let left = head.readUInt32BE(4); left > 0; ) {
      const piece = await bytes.take(Math.min(left, LONGEST_PIECE));
      if (piece.length === 0) return;
      left -= piece.length;
      take(piece);
    }
  }
}

async function call<T>(
  what: string,
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await withDeadline(milliseconds, what, work);
  } catch (error) {
    throw new ServiceError('docker.failed', { what, why: messageOf(error) }, { cause: error });
  }
}

function unlessMissing(error: unknown): undefined {
  if (statusOf(error) !== 404) throw error;
}
