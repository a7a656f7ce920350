/** The containers that this service makes itself, as the predecessor's local development did. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { HostedContainer } from './container.ts';
import type { CreateBody, Mount } from './create-body.ts';
import { CGROUPS } from './forbidden.ts';
import type { DockerId } from './identity.ts';
import type { KeptContainers } from './kept-containers.ts';
import { bind, ownMounts } from './own-mounts.ts';
import { CLIENT_PORTS } from './published-ports.ts';
import { takeDown } from './take-down.ts';
import type { Tracker } from './tracker.ts';

export interface SpinUpRequest {
  /** Names the user's config; not empty. */
  readonly appName: string;
  readonly appImage: string;
  readonly mounts: readonly Mount[];
  /** Seconds that the program inside waits for its first client; -1: for ever. */
  readonly protocolTimeout: number;
}

const CAPABILITIES =
  'SETPCAP MKNOD AUDIT_WRITE CHOWN NET_RAW DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT SETFCAP SYS_NICE';

const SHARED_MEMORY = 8 * 1024 ** 3;
/** How often another port is tried when Docker finds one taken. */
const ATTEMPTS = 5;

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
    const container = tracker.begin({ role: 'spin-up', appName: request.appName });
    try {
      return await bringUp(container, kept, body, request);
    } catch (error) {
      const why = `could not be started: ${messageOf(error)}`;
      await takeDown(container, tracker, why, (id) => kept.remove(id));
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
  const id = await container.create(body, make, { timeout: request.protocolTimeout });
  await container.start();
  void container.gone.then(() => kept.removeLater(id));
  return id;
}

function checkRequest({ appName, appImage, protocolTimeout }: SpinUpRequest): void {
  if (!appName || !appImage) throw new ServiceError('create.bad_image_name', {});
  if (protocolTimeout < -1) throw new ServiceError('create.bad_timeout', { got: protocolTimeout });
}

/** Source of mounts, capabilities and sizes: the predecessor's task definition and its own spin-up. */
async function bodyOf({ host }: Tracker, request: SpinUpRequest): Promise<CreateBody> {
  const nvidia = await host.docker.hasNvidia();
  return {
    Image: request.appImage,
    Tty: true,
    OpenStdin: true,
    Env: nvidia ? ['NVIDIA_DRIVER_CAPABILITIES=all', 'NVIDIA_VISIBLE_DEVICES=all'] : [],
    HostConfig: {
      Mounts: [...ownMounts(host.paths), bind(CGROUPS, CGROUPS, true), ...request.mounts],
      // A wish: the container gets these host ports if they are free.
      PortBindings: Object.fromEntries(
        CLIENT_PORTS.map((port) => [port, [{ HostPort: port.split('/')[0] as string }]]),
      ),
      Tmpfs: { '/run': '', '/run/lock': '' },
      ShmSize: SHARED_MEMORY,
      CapDrop: ['ALL'],
      CapAdd: CAPABILITIES.split(' '),
      ...(nvidia ? { DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }] } : {}),
    },
  };
}
