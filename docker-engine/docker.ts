/**
 * The calls to the Docker Engine that this service needs. Each has a time limit and fails with an error that says what
 * was attempted. Nothing here knows about hosted containers.
 */

import type Dockerode from 'dockerode';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import {
  type DeviceList,
  type DockerEvent,
  type EngineFacts,
  endpointIn,
  eventsOf,
  factsOf,
  healthIn,
  type Info,
  type Inspected,
  type Labels,
  type Listed,
  layerIn,
  portsOf,
} from './answers.ts';
import { CALLS, type CallObserver, type DockerCall, observing } from './calls.ts';
import type { DockerId } from './docker-id.ts';
import { reasonOf, statusOf, unlessStatus } from './failures.ts';
import { GpuFinder, type GpuSupport } from './gpu-support.ts';

/** Three dockerode calls that accept a signal, which its types do not declare. */
interface UntypedCalls {
  ping(options: { abortSignal: AbortSignal }): Promise<unknown>;
  version(options: { abortSignal: AbortSignal }): Promise<Dockerode.DockerVersion>;
  info(options: { abortSignal: AbortSignal }): Promise<Info>;
}

/** Time limits in milliseconds: for a call that only reads, and for one that changes something. */
const LOOK = 10_000;
const WORK = 60_000;

export class Docker {
  readonly socket: string;
  readonly #api: Dockerode;
  readonly #untyped: UntypedCalls;
  readonly #observe: CallObserver;
  readonly #gpus = new GpuFinder(() => this.#info());

  /**
   * Loads dockerode only now, because that takes time.
   * @param socket path of the Engine's unix socket
   * @param observe called with each call that has ended
   */
  static async open(socket: string, observe?: CallObserver): Promise<Docker> {
    return new Docker(socket, await Docker.client(socket), observe);
  }

  protected static async client(socket: string): Promise<Dockerode> {
    const { default: Dockerode } = await import('dockerode');
    return new Dockerode({ socketPath: socket });
  }

  protected constructor(socket: string, api: Dockerode, observe: CallObserver = () => {}) {
    this.socket = socket;
    this.#api = api;
    this.#untyped = api as unknown as UntypedCalls;
    this.#observe = observe;
  }

  async ping(signal?: AbortSignal): Promise<void> {
    await this.call('ping', LOOK, (abortSignal) => this.#untyped.ping({ abortSignal }), signal);
  }

  async version(): Promise<{ readonly engine: string; readonly api: string }> {
    const found = await this.call('version', LOOK, (abortSignal) => this.#untyped.version({ abortSignal }));
    return { engine: found.Version, api: found.ApiVersion };
  }

  gpuSupport(): Promise<GpuSupport> {
    return this.#gpus.find();
  }

  async describe(): Promise<EngineFacts> {
    const [version, info] = await Promise.all([this.version(), this.#info()]);
    return factsOf(version.engine, info);
  }

  #info(): Promise<Info> {
    return this.call('info', LOOK, (abortSignal) => this.#untyped.info({ abortSignal }));
  }

  /**
   * @param body of Docker's create call
   * @param signal aborts the wait for the answer; Docker may still create the container
   */
  async create(body: object, signal?: AbortSignal): Promise<DockerId> {
    const options = { _query: {}, _body: body };
    const container = await this.call(
      'create',
      WORK,
      (abortSignal) =>
        this.#api.createContainer({ ...options, abortSignal } as Dockerode.ContainerCreateOptions),
      signal,
    );
    return container.id as DockerId;
  }

  async start(id: DockerId): Promise<void> {
    await this.call('start', WORK, (abortSignal) => this.#api.getContainer(id).start({ abortSignal }));
  }

  /** Stops a container, with SIGKILL after `grace` seconds, if it exists and runs. */
  async stop(id: DockerId, grace: number): Promise<void> {
    await this.call('stop', LOOK + grace * 1000, (abortSignal) =>
      this.#api.getContainer(id).stop({ t: grace, abortSignal }).catch(unlessStatus(304, 404)),
    );
  }

  /** Removes a container and its anonymous volumes, even if it runs. It is no error if it does not exist. */
  async remove(id: DockerId): Promise<void> {
    const container = this.#api.getContainer(id);
    await this.call('remove', WORK, async (abortSignal) => {
      const removed = container
        .remove({ force: true, v: true, abortSignal })
        .catch(async (error: unknown) => {
          if (statusOf(error) !== 409) throw error;
          // Another client is removing it at this moment.
          await container.wait({ condition: 'removed', abortSignal });
        });
      await removed.catch(unlessStatus(404));
    });
  }

  /** @param ref its docker id, the beginning of it, or its name @returns undefined if Docker does not know it */
  async inspect(ref: string): Promise<Inspected | undefined> {
    const found = await this.#inspect(ref);
    if (!found) return undefined;
    const { Running, Status, ExitCode, OOMKilled, Pid } = found.State;
    const { Ports, Networks } = found.NetworkSettings ?? {};
    const [, sharedWith] = /^container:(.+)$/.exec(found.HostConfig?.NetworkMode ?? '') ?? [];
    return {
      dockerId: found.Id as DockerId,
      labels: found.Config?.Labels ?? {},
      image: found.Image,
      ports: portsOf(Ports ?? {}),
      running: Running,
      status: Status,
      exitCode: ExitCode,
      lackedMemory: OOMKilled,
      pid: Pid,
      cgroupParent: found.HostConfig?.CgroupParent ?? '',
      address: Object.values(Networks ?? {}).find(({ IPAddress }) => IPAddress)?.IPAddress,
      networks: Object.entries(Networks ?? {}).map(([name, { NetworkID: id }]) => ({ name, id })),
      sharedWith,
      bridge: endpointIn(Networks?.bridge),
      // Such as `/other:/this/alias`.
      links: (found.HostConfig?.Links ?? []).map((one: string) => one.split(':')[0]?.slice(1) ?? ''),
    };
  }

  /** The host's directories to which a container writes: its own layer and its volumes. */
  async writtenBy(id: DockerId): Promise<string[]> {
    const found = await this.#inspect(id);
    const volumes = (found?.Mounts ?? []).filter(({ Type, RW }) => Type === 'volume' && RW);
    return [...layerIn(found).slice(0, 1), ...volumes.map(({ Source }) => Source)];
  }

  /**
   * The directories of a container's own layer, between which the kernel renames files. Only some drivers have them.
   */
  async layerOf(id: DockerId): Promise<string[]> {
    return layerIn(await this.#inspect(id));
  }

  #inspect(ref: string): Promise<Dockerode.ContainerInspectInfo | undefined> {
    return this.call('inspect', LOOK, (abortSignal) =>
      this.#api.getContainer(encodeURIComponent(ref)).inspect({ abortSignal }).catch(unlessStatus(404)),
    );
  }

  /** The name of the bridge interface for containers that ask for no network. */
  async defaultBridge(): Promise<string> {
    const found = await this.call('inspect_network', LOOK, () =>
      this.#api.getNetwork('bridge').inspect().catch(unlessStatus(404)),
    );
    return found?.Options?.['com.docker.network.bridge.name'] ?? 'docker0';
  }

  /** All containers with these labels, each `name=value`. */
  async list(labels: readonly string[]): Promise<Listed[]> {
    const filters = { label: [...labels] };
    const found = await this.call('list', LOOK, (abortSignal) =>
      this.#api.listContainers({ all: true, filters, abortSignal }),
    );
    return found.map(({ Id, Labels, ImageID, State, Status }) => ({
      dockerId: Id as DockerId,
      labels: Labels,
      image: ImageID,
      state: State,
      health: healthIn(Status),
    }));
  }

  async hasImage(image: string): Promise<boolean> {
    return (await this.#image(image)) !== undefined;
  }

  /** Empty if there is no such image. */
  async labelsOfImage(image: string): Promise<Labels> {
    return (await this.#image(image))?.Config?.Labels ?? {};
  }

  /** undefined if there is no such image. */
  async imageId(image: string): Promise<string | undefined> {
    return (await this.#image(image))?.Id;
  }

  #image(image: string): Promise<Dockerode.ImageInspectInfo | undefined> {
    return this.call('inspect_image', LOOK, () =>
      this.#api.getImage(image).inspect().catch(unlessStatus(404)),
    );
  }

  /** The device lists of all containers on this host that have not ended, whoever created them. */
  async deviceLists(): Promise<DeviceList[]> {
    const filters = { status: ['created', 'restarting', 'running', 'removing', 'paused'] };
    const found = await this.call('list_any', LOOK, (abortSignal) =>
      this.#api.listContainers({ all: true, filters, abortSignal }),
    );
    const lists = await Promise.all(found.map((one) => this.#deviceList(one.Id as DockerId)));
    return lists.filter(({ paths }) => paths.length > 0);
  }

  async #deviceList(dockerId: DockerId): Promise<DeviceList> {
    const found = await this.call('inspect_any', LOOK, (abortSignal) =>
      this.#api.getContainer(dockerId).inspect({ abortSignal }).catch(unlessStatus(404)),
    );
    const devices: Dockerode.DeviceMapping[] = found?.HostConfig.Devices ?? [];
    return { dockerId, paths: devices.flatMap((one) => [one.PathOnHost, one.PathInContainer]) };
  }

  /**
   * Yields the creations, starts, deaths and removals of containers with these labels, each `name=value`, until the
   * stream ends or `signal` aborts. Resolves when Docker has opened the stream.
   * @param since Unix time in seconds; Docker repeats the events since then
   */
  async events(
    labels: readonly string[],
    since: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<DockerEvent>> {
    const event = ['create', 'start', 'die', 'destroy'];
    return await this.#events({ type: ['container'], event, label: labels }, signal, since);
  }

  /** Yields an event each time that an image was pulled, tagged, loaded or removed, until the signal aborts. */
  async imageEvents(signal: AbortSignal): Promise<AsyncIterable<DockerEvent>> {
    return await this.#events({ type: ['image'] }, signal);
  }

  async #events(filters: object, abortSignal: AbortSignal, since?: number) {
    const options = { filters: JSON.stringify(filters), since, abortSignal };
    const stream = await this.call('events', Infinity, () => this.#api.getEvents(options));
    return eventsOf(stream as unknown as AsyncIterable<Uint8Array>);
  }

  /**
   * Makes a call to the Engine with an observer, a time limit and an error that explains the failure.
   * @param milliseconds until the answer; Infinity: no limit
   * @throws {ServiceError} `docker.failed` when Docker refuses, `docker.unavailable` when it does not answer
   */
  async call<T>(
    name: DockerCall,
    milliseconds: number,
    work: (signal: AbortSignal, api: Dockerode) => Promise<T>,
    outer?: AbortSignal,
  ): Promise<T> {
    const what = CALLS[name];
    const ask = () =>
      withDeadline(milliseconds, what, (late) =>
        work(outer ? AbortSignal.any([late, outer]) : late, this.#api),
      );
    try {
      return await observing(name, this.#observe, ask, outer);
    } catch (error) {
      throw this.#explain(what, error);
    }
  }

  #explain(what: string, error: unknown): ServiceError {
    if (statusOf(error) !== undefined) {
      return new ServiceError('docker.failed', { what, why: reasonOf(error) }, { cause: error });
    }
    const why = `${what}: ${messageOf(error)}`;
    return new ServiceError('docker.unavailable', { socket: this.socket, why }, { cause: error });
  }
}
