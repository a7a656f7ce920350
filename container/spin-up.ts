/** The containers that this service makes itself, as the predecessor's local development did. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { exists } from '../host/directories.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { HostedContainer } from './container.ts';
import { type CreateBody, type Mount, PLACEHOLDER } from './create-body.ts';
import { directoriesOf } from './directories.ts';
import type { DockerId } from './identity.ts';
import type { KeptContainers } from './kept-containers.ts';
import type { Tracker } from './tracker.ts';

export interface SpinUpRequest {
  /** Names the user's config; not empty. */
  readonly appName: string;
  readonly appImage: string;
  readonly mounts: readonly Mount[];
  /** Seconds that the program inside waits for its first client; -1: for ever. */
  readonly protocolTimeout: number;
}

/** The ports that programs in the images listen on: discovery, and the client's datagrams and stream. */
const PORTS = ['32262/tcp', '32263/udp', '32273/tcp'];

const CAPABILITIES =
  'SETPCAP MKNOD AUDIT_WRITE CHOWN NET_RAW DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT SETFCAP SYS_NICE';

const SHARED_MEMORY = 8 * 1024 ** 3;
/** How often another port is tried when Docker finds one taken. */
const ATTEMPTS = 5;
/** Milliseconds that a caller is made to wait for what is left of a container that could not be started. */
const PATIENCE = 20_000;

/**
 * Makes a container and starts it. @returns its docker id
 * @throws {ServiceError} when it cannot be; nothing is left of it then
 */
export async function spinUp(
  tracker: Tracker,
  kept: KeptContainers,
  request: SpinUpRequest,
): Promise<DockerId> {
  checkRequest(request);
  const body = await bodyOf(tracker, request);
  for (let attempt = 1; ; attempt++) {
    const container = tracker.begin('spin-up', request.appName);
    try {
      return await bringUp(container, kept, body, request);
    } catch (error) {
      await takeDown(container, tracker, kept, messageOf(error));
      const portTaken = error instanceof ServiceError && error.code === 'port.taken';
      if (!portTaken || attempt === ATTEMPTS) throw error;
      tracker.host.log.warn({ why: error.message }, 'trying other ports');
    }
  }
}

async function bringUp(
  container: HostedContainer,
  kept: KeptContainers,
  body: CreateBody,
  request: SpinUpRequest,
) {
  const make = (amended: CreateBody) => kept.make(container.id, amended);
  const id = await container.create(body, make, request.protocolTimeout);
  await container.start();
  void container.gone.then(() => kept.removeLater(id));
  return id;
}

/** Waits until nothing is left of it, but no longer than a caller does: while Docker is away it goes on behind. */
async function takeDown(
  container: HostedContainer,
  tracker: Tracker,
  kept: KeptContainers,
  why: string,
): Promise<void> {
  const ended = async () => {
    await container.end(`could not be started: ${why}`);
    if (container.dockerId) await kept.remove(container.dockerId);
  };
  try {
    await withDeadline(PATIENCE, 'taking it down', () => tracker.lifetime.track('taking it down', ended()));
  } catch (error) {
    tracker.host.log.error(
      { container: container.id, error },
      'a container that could not be started is not gone yet',
    );
  }
}

function checkRequest({ appName, appImage, protocolTimeout }: SpinUpRequest): void {
  if (!appName || !appImage) throw new ServiceError('create.bad_image_name', {});
  if (protocolTimeout < -1) throw new ServiceError('create.bad_timeout', { got: protocolTimeout });
}

/** Source of mounts, capabilities and sizes: the predecessor's task definition and its own spin-up. */
async function bodyOf({ host }: Tracker, request: SpinUpRequest): Promise<CreateBody> {
  const [nvidia, udev] = await Promise.all([host.docker.hasNvidia(), exists('/run/udev/data')]);
  const { mappings, userConfig, sockets } = directoriesOf(host.paths, PLACEHOLDER);
  return {
    Image: request.appImage,
    Tty: true,
    OpenStdin: true,
    Env: nvidia ? ['NVIDIA_DRIVER_CAPABILITIES=all', 'NVIDIA_VISIBLE_DEVICES=all'] : [],
    HostConfig: {
      Mounts: [
        bind(mappings, '/fractal/resourceMappings', true),
        bind(userConfig, '/fractal/userConfigs', false),
        bind(sockets, '/tmp/sockets', false),
        bind('/sys/fs/cgroup', '/sys/fs/cgroup', true),
        ...(udev ? [bind('/run/udev/data', '/run/udev/data', true)] : []),
        ...request.mounts,
      ],
      // A wish: the container gets these host ports if they are free.
      PortBindings: Object.fromEntries(
        PORTS.map((port) => [port, [{ HostPort: port.split('/')[0] as string }]]),
      ),
      Tmpfs: { '/run': '', '/run/lock': '' },
      ShmSize: SHARED_MEMORY,
      CapDrop: ['ALL'],
      CapAdd: CAPABILITIES.split(' '),
      ...(nvidia ? { DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }] } : {}),
    },
  };
}

function bind(source: string, target: string, readOnly: boolean): Mount {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: readOnly };
}
