/**
 * The resources of a hosted container on this host: directories, ports, console, input devices and control group. A new
 * container takes them. A container that a crashed service left holds them again.
 */

import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { adoptCgroup, holdCgroupPath } from './cgroups.ts';
import {
  type CreateBody,
  type CreateOptions,
  type DeviceMapping,
  IDENTIFYING_PORT,
  wantsConsole,
} from './creation/create-body.ts';
import { type GpuAccess, gpusWanted } from './creation/gpu-requests.ts';
import { directoriesOf, holdDirectories } from './directories.ts';
import type { ContainerFacts, LeftContainer, Purpose } from './facts.ts';
import type { ContainerId } from './identity.ts';
import { adoptInputDevices, holdInputDevices, offerInputDevices } from './input-devices.ts';
import { adoptPorts, holdPorts, portsWanted } from './network/published-ports.ts';
import { Shortage } from './pool/shortage.ts';
import { ResourceMappings } from './resource-mappings.ts';
import type { Surroundings } from './surroundings.ts';
import { UserConfig } from './user-config.ts';

/** The owner of the resources. */
export interface Owner {
  readonly id: ContainerId;
  readonly purpose: Purpose;
  readonly host: Surroundings;
  readonly lifetime: Lifetime;
  readonly log: Logger;
  /** Resolves when the container does not run, so that its console can be reused. */
  readonly provenGone: () => Promise<string>;
}

/** The resources from the preparation to the end. */
export interface Resources {
  readonly facts: ContainerFacts;
  readonly mappings: ResourceMappings;
  readonly config: UserConfig;
}

/** What Docker must give to the container. */
export interface Allotment {
  /** Host ports by container port. */
  readonly ports: ReadonlyMap<string, number>;
  readonly tty: number | undefined;
  readonly devices: readonly DeviceMapping[];
  readonly cgroup: string | undefined;
  /** UUIDs. */
  readonly gpus: readonly string[];
  readonly gpuAccess: GpuAccess;
}

/**
 * Takes all resources of a new container.
 * @throws {ServiceError} when a resource is unavailable; the lifetime holds what was taken before
 */
export async function takeResources(
  owner: Owner,
  accepted: CreateBody,
  { idleTimeout, identifyingPort: needed, shared }: CreateOptions,
): Promise<Resources & { readonly allotment: Allotment }> {
  const { id, host, lifetime, log, purpose } = owner;
  const passing = { descriptors: host.descriptors, id };
  const { directories, ...place } = placeOf(owner);
  const wanted = portsWanted(accepted, shared);
  const { chosen, count } = gpusWanted(accepted);
  // A container of a pool must not make another one end.
  const shortage = purpose.pool === undefined ? host.shortage : new Shortage();
  const take = () =>
    Promise.all([
      holdDirectories(lifetime, directories, { ...host, config: place.config }),
      holdPorts(lifetime, host.ports, { ...wanted, needed }, shortage),
      wantsConsole(accepted)
        ? shortage.relieve(() => host.ttys.acquire(lifetime, owner.provenGone))
        : undefined,
      holdInputDevices(lifetime, host.eventNumbers, passing),
      count > 0 ? shortage.relieve(() => host.gpus.acquire(lifetime, count, owner.provenGone)) : [],
      host.gpus.adopt(lifetime, chosen, owner.provenGone),
    ]);
  const [project, ports, tty, inputs, allotted] = await host.limitPreparations(take);
  const gpus = [...allotted, ...chosen];
  const devices = await offerInputDevices(lifetime, directories, inputs, { passing, log });
  const cgroup = await holdCgroupPath(lifetime, directories.own);
  const facts: ContainerFacts = {
    ...purpose,
    ports: { ...Object.fromEntries(ports), ...(shared !== undefined && { [IDENTIFYING_PORT]: shared }) },
    chosen: wanted.chosen,
    ...(tty !== undefined && { tty }),
    ...(project !== undefined && { project }),
    ...(gpus.length > 0 && { gpus }),
    devices: inputs.map(({ device, number }) => ({ number, sysname: device.sysname })),
    ...(idleTimeout !== undefined && { idleTimeout }),
  };
  return { ...place, facts, allotment: { ports, tty, devices, cgroup, gpus, gpuAccess: host.gpus.access } };
}

/** Holds the resources of a container that another service left. */
export async function adoptResources(owner: Owner, left: LeftContainer): Promise<Resources> {
  const { id, host, lifetime } = owner;
  const { handed: _, ...facts } = left;
  const { ports, chosen = [], tty, gpus = [], devices, dockerId, cgroup } = facts;
  const { directories, ...place } = placeOf(owner);
  const { config } = place;
  await config.find();
  await holdDirectories(lifetime, directories, { ...host, config }, left);
  await adoptPorts(lifetime, host.ports, ports, chosen);
  if (tty !== undefined) await host.ttys.adopt(lifetime, tty, owner.provenGone);
  await host.gpus.adopt(lifetime, gpus, owner.provenGone);
  const passing = { descriptors: host.descriptors, id };
  await adoptInputDevices(lifetime, {
    directories,
    numbers: host.eventNumbers,
    devices,
    passing,
    log: owner.log,
  });
  await adoptCgroup(lifetime, directories.own, cgroup);
  await config.adopt();
  await host.apart.adopt({ id, dockerId, lifetime });
  return { ...place, facts };
}

function placeOf({ id, purpose, host, lifetime, log }: Owner) {
  const directories = directoriesOf(host.paths, id);
  const config = new UserConfig({ ...host, id, appName: purpose.appName, directories, lifetime, log });
  return { directories, config, mappings: new ResourceMappings(directories.mappings, directories.own) };
}
