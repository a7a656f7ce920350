/** The body of Docker's create call for a container that this service creates itself. */

import type { Labels } from '../../docker-engine/answers.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import { CGROUPS } from '../host-paths.ts';
import { CONSOLE } from '../labels.ts';
import { CLIENT_PORTS } from '../network/published-ports.ts';
import type { CreateBody, HostConfig, Mount } from './create-body.ts';
import { bind, ownMounts } from './own-mounts.ts';

export interface Limits {
  /** The number of processors, which may be a fraction. */
  readonly cpus?: number | undefined;
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Processes and threads. */
  readonly pids?: number | undefined;
  /** Bytes of /dev/shm. */
  readonly sharedMemory?: number | undefined;
}

export interface RequestedPort {
  /** For example `8080/tcp`. */
  readonly container: string;
  /** Missing: any free port. */
  readonly host?: number | undefined;
}

export interface Requested {
  readonly appImage: string;
  readonly mounts: readonly Mount[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly limits?: Limits | undefined;
  readonly ports?: readonly RequestedPort[] | undefined;
  readonly labels?: Labels | undefined;
  /** Whether it gets the host's GPUs; missing: if the host has any. */
  readonly gpu?: boolean | undefined;
  /** Whether it gets a virtual console; missing: yes. */
  readonly console?: boolean | undefined;
  /** Whether to leave the ports that clients prefer to other containers. */
  readonly anyPorts?: boolean | undefined;
}

const CAPABILITIES =
  'SETPCAP MKNOD AUDIT_WRITE CHOWN NET_RAW DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT SETFCAP SYS_NICE';

/** Bytes of /dev/shm of a container that asks for no other size. */
export const SHARED_MEMORY = 8 * 1024 ** 3;
const NANO = 1e9;

/** Source: the predecessor's task definition and its own spin-up. @throws {ServiceError} `create.no_gpu` */
export async function bodyOf(docker: Docker, paths: Paths, requested: Requested): Promise<CreateBody> {
  const { appImage, environment = {}, labels, mounts, ports = [], limits = {} } = requested;
  const hasGpu = await wantsGpu(docker, requested.gpu);
  // If nvidia's runtime is Docker's default, it gives the GPUs to every container that does not opt out.
  const hidden = requested.gpu === false ? { NVIDIA_VISIBLE_DEVICES: 'void' } : {};
  const gpu = hasGpu ? { NVIDIA_DRIVER_CAPABILITIES: 'all', NVIDIA_VISIBLE_DEVICES: 'all' } : {};
  return {
    Image: appImage,
    Tty: true,
    OpenStdin: true,
    Env: Object.entries({ ...gpu, ...environment, ...hidden }).map(([name, value]) => `${name}=${value}`),
    Labels: { ...labels, ...(requested.console === false && { [CONSOLE]: 'none' }) },
    HostConfig: {
      Mounts: [...ownMounts(paths), bind(CGROUPS, CGROUPS, true), ...mounts],
      PortBindings: bindingsOf(ports, requested.anyPorts),
      Tmpfs: { '/run': '', '/run/lock': '' },
      CapDrop: ['ALL'],
      CapAdd: CAPABILITIES.split(' '),
      ...(hasGpu && { DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }] }),
      ...limitsOf(limits),
    },
  };
}

async function wantsGpu(docker: Docker, gpu: boolean | undefined): Promise<boolean> {
  if (gpu === false) return false;
  const { runtime, cdi } = await docker.gpuSupport();
  const hasGpus = runtime || cdi.length > 0;
  if (gpu && !hasGpus) throw new ServiceError('create.no_gpu', {});
  return hasGpus;
}

/** The ports that its clients also use. They are a preference: the container gets them if they are free. */
function bindingsOf(
  ports: readonly RequestedPort[],
  anyPorts = false,
): NonNullable<HostConfig['PortBindings']> {
  const own = CLIENT_PORTS.map((port) => [port, [{ HostPort: anyPorts ? '' : (port.split('/')[0] ?? '') }]]);
  const others = ports.map(({ container, host = '' }) => [container, [{ HostPort: String(host) }]]);
  return Object.fromEntries([...own, ...others]);
}

function limitsOf({ cpus, memory, pids, sharedMemory = SHARED_MEMORY }: Limits) {
  return {
    ShmSize: sharedMemory,
    ...(cpus !== undefined && { NanoCpus: Math.round(cpus * NANO) }),
    ...(memory !== undefined && { Memory: memory }),
    ...(pids !== undefined && { PidsLimit: pids }),
  };
}
