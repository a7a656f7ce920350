/**
 * A Docker Engine that only records calls, so that a test can delay or fail any of its answers at the moment that matters.
 * Tests that can use the real Engine do so.
 */

import { once } from 'node:events';

import type { CreateBody } from '../../container/creation/create-body.ts';
import type { Hosted, HostedDocker, HostedEvent } from '../../container/hosted-docker.ts';
import { containerIdOf, roleOf } from '../../container/labels.ts';
import type { Inspected, Labels } from '../../docker-engine/answers.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { GpuSupport } from '../../docker-engine/gpu-support.ts';

type Calls = Pick<
  HostedDocker,
  'create' | 'start' | 'stop' | 'remove' | 'inspect' | 'hosted' | 'hostedEvents' | 'gpuSupport'
>;

export class FakeDocker implements Calls {
  /** The calls, in order. */
  readonly calls: string[] = [];
  readonly states = new Map<DockerId, 'created' | 'running' | 'exited'>();
  readonly #labels = new Map<DockerId, Labels>();
  /** The signals of all event streams that were opened. */
  readonly streams: AbortSignal[] = [];
  /** Events with which a stream begins when it is opened. */
  readonly told: HostedEvent[] = [];
  /** Is awaited before a call is answered; an error that it throws is the answer. */
  before: (call: string) => Promise<void> | void = () => {};

  /** In the type that the service expects. */
  get asDocker(): HostedDocker {
    return this as unknown as HostedDocker;
  }

  async #answer(call: string): Promise<void> {
    this.calls.push(call);
    await this.before(call);
  }

  async create({ Labels }: CreateBody): Promise<DockerId> {
    const id = `docker-${this.states.size}` as DockerId;
    await this.#answer('create');
    this.states.set(id, 'created');
    this.#labels.set(id, Labels ?? {});
    return id;
  }

  async start(id: DockerId): Promise<void> {
    await this.#answer('start');
    this.states.set(id, 'running');
  }

  async stop(id: DockerId): Promise<void> {
    await this.#answer('stop');
    this.states.set(id, 'exited');
  }

  async remove(id: DockerId): Promise<void> {
    await this.#answer('remove');
    this.states.delete(id);
  }

  async inspect(id: DockerId): Promise<Inspected | undefined> {
    await this.#answer('inspect');
    const status = this.states.get(id);
    const running = status === 'running';
    const nowhere = { pid: 0, cgroupParent: '', address: undefined, sharedWith: undefined };
    return (
      status && {
        dockerId: id,
        labels: this.#labels.get(id) ?? {},
        image: '',
        ports: new Map(),
        running,
        status,
        exitCode: 0,
        ...nowhere,
      }
    );
  }

  async hosted(): Promise<Hosted[]> {
    const listed = [...this.states].map(([dockerId, state]) => {
      const labels = this.#labels.get(dockerId) ?? {};
      return { dockerId, containerId: containerIdOf(labels), role: roleOf(labels), state };
    });
    await this.#answer('list');
    return listed;
  }

  async hostedEvents(
    _hostId: string,
    since: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<HostedEvent>> {
    await this.#answer('events');
    this.streams.push(signal);
    return streamOf(
      this.told.filter(({ time }) => time >= since),
      signal,
    );
  }

  /** As in the answers of `inspect`. */
  async imageId(): Promise<string> {
    return '';
  }

  async imageEvents(signal: AbortSignal): Promise<AsyncIterable<HostedEvent>> {
    return streamOf([], signal);
  }

  async gpuSupport(): Promise<GpuSupport> {
    return { runtime: false, cdi: [] };
  }
}

async function* streamOf(told: readonly HostedEvent[], signal: AbortSignal): AsyncGenerator<HostedEvent> {
  yield* told;
  if (!signal.aborted) await once(signal, 'abort');
}
