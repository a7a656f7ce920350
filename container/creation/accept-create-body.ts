/**
 * Checks a create body against what a hosted container may ask of Docker, before the service adds anything to it. It
 * checks the fields, and the containers, volumes and networks that the body names, as Docker knows them now. Names of
 * other containers are replaced by their ids. A volume can change until Docker has created the container, so volumes
 * are checked again then.
 */

import type { Labels } from '../../docker-engine/answers.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { type KnownContainer, type KnownMount, References } from '../../docker-engine/references.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { containerIdOf, isHostedOn, TASK } from '../labels.ts';
import type { Surroundings } from '../surroundings.ts';
import { createRule } from './accepted-calls.ts';
import { type Asker, isAllowed, refusal } from './accepted-fields.ts';
import { HOST_CONFIG } from './accepted-host-config.ts';
import { parseBind, VOLUME } from './accepted-mounts.ts';
import { acceptNetwork } from './accepted-networks.ts';
import { type CreateBody, checkCreateBody, type HostConfig, type Mount } from './create-body.ts';

type Host = Pick<Surroundings, 'hostId' | 'docker' | 'paths' | 'allowed'>;

/** @param granted mounts that other rules have accepted @throws {ServiceError} `create.*`, `docker.*` */
export async function acceptCreateBody(
  body: CreateBody,
  host: Host,
  granted: readonly Mount[] = [],
): Promise<CreateBody> {
  checkCreateBody(body);
  const { paths, allowed } = host;
  const asker = { labels: body.Labels ?? {}, paths, allowed, granted };
  const accepted = createRule.accept(body, '', asker) as CreateBody;
  const named = new Named(asker, host.hostId, new References(host.docker));
  const config = (accepted.HostConfig ?? {}) as HostConfig & Strings;
  await named.networks(accepted);
  await Promise.all(volumesIn(config).map((name) => named.volume(name)));
  const pinned = {
    ...(await named.modes(config)),
    ...(config.Links && { Links: await Promise.all(config.Links.map((link) => named.link(link))) }),
    ...(config.VolumesFrom && {
      VolumesFrom: await Promise.all(config.VolumesFrom.map((from) => named.volumesFrom(from, config))),
    }),
  };
  return { ...accepted, HostConfig: { ...config, ...pinned } };
}

/** @throws {ServiceError} `create.not_allowed` when one of its volumes was replaced in the meantime */
export async function checkMade(accepted: CreateBody, dockerId: DockerId, host: Host): Promise<void> {
  const config = (accepted.HostConfig ?? {}) as HostConfig & Strings;
  if (volumesIn(config).length === 0 && !config.VolumesFrom?.length) return;
  const { paths, allowed } = host;
  const references = new References(host.docker);
  const named = new Named({ labels: {}, paths, allowed, granted: [] }, host.hostId, references);
  const made = await references.container(dockerId);
  await named.volumesAmong(made?.mounts ?? []);
}

interface Strings {
  readonly [mode: `${string}Mode`]: string | null | undefined;
  readonly VolumesFrom?: readonly string[] | null;
  readonly Links?: readonly string[] | null;
}

function volumesIn({ Binds, Mounts }: HostConfig): string[] {
  const bound = (Binds ?? []).map((bind) => parseBind(bind, 'Binds').source ?? '');
  const mounted = (Mounts ?? []).map(({ Type, Source }) => (Type === 'volume' ? (Source ?? '') : ''));
  return [...bound, ...mounted].filter((name) => VOLUME.test(name));
}

const MODES = ['NetworkMode', 'PidMode', 'IpcMode'] as const;
type Mode = (typeof MODES)[number];

/** The privileges of a container that others with access to its processes can use through it. */
const LENT = [
  'CapAdd',
  'DeviceCgroupRules',
  'Devices',
  'IpcMode',
  'MaskedPaths',
  'ReadonlyPaths',
  'SecurityOpt',
  'UTSMode',
  'UsernsMode',
];

/** Looks up what a body names in Docker. */
class Named {
  readonly #asker: Asker;
  readonly #hostId: string;
  readonly #references: References;

  constructor(asker: Asker, hostId: string, references: References) {
    this.#asker = asker;
    this.#hostId = hostId;
    this.#references = references;
  }

  /** @returns the modes with the ids of the containers that they name */
  async modes(config: Strings): Promise<Partial<Record<Mode, string>>> {
    const pinned = await Promise.all(
      MODES.map(async (mode): Promise<[Mode, string][]> => {
        const [, ref] = /^container:(.+)$/.exec(config[mode] ?? '') ?? [];
        return ref === undefined ? [] : [[mode, `container:${await this.#partner(mode, ref)}`]];
      }),
    );
    return Object.fromEntries(pinned.flat());
  }

  /** @returns its docker id */
  async #partner(mode: Mode, ref: string): Promise<DockerId> {
    const value = `container:${ref}`;
    const found = await this.#known(`HostConfig.${mode}`, ref);
    if (isAllowed(this.#asker, mode, value)) return found.dockerId;
    // What the partner shares itself, it would share further.
    const isOwn = !/^(host$|container:)/.test(found.modes[mode] ?? '') && !found.isPrivileged;
    if (!isOwn || !this.#belongs(found)) throw refusal(`HostConfig.${mode}`, value, `${mode}=${value}`);
    if (mode === 'PidMode' && !isHosted(found.labels, this.#hostId)) await this.#opens(found);
    return found.dockerId;
  }

  /**
   * A container that sees the processes of another one also sees its files, and can make them do whatever that
   * container may do. For a hosted container, all of this was accepted before.
   * @throws {ServiceError} `create.not_allowed`
   */
  async #opens({ mounts, modes, config }: KnownContainer): Promise<void> {
    const at = 'HostConfig.PidMode of a container with';
    if (modes.NetworkMode === 'host') throw refusal(`${at} NetworkMode`, modes.NetworkMode);
    for (const field of LENT)
      HOST_CONFIG[field]?.accept(config[field] ?? null, `${at} ${field}`, this.#asker);
    const bound = mounts.find(({ type }) => type !== 'volume' && type !== 'tmpfs');
    if (bound) throw refusal(`${at} a mount of the host at`, bound.target);
    await this.volumesAmong(mounts);
  }

  /** @returns the link with the container's id, and with its name as the alias if none is given */
  async link(link: string): Promise<string> {
    const [ref = '', ...alias] = link.split(':');
    const found = await this.#known('HostConfig.Links', ref);
    if (!isAllowed(this.#asker, 'Links', ref) && !this.#belongs(found)) {
      throw refusal('HostConfig.Links', link, `Links=${ref}`);
    }
    return [found.dockerId, ...(alias.length > 0 ? alias : [ref])].join(':');
  }

  /** Whether it belongs to the same ECS task, or is hosted. */
  #belongs({ labels }: KnownContainer): boolean {
    const task = this.#asker.labels[TASK];
    return (task !== undefined && labels[TASK] === task) || isHosted(labels, this.#hostId);
  }

  /** @returns the same with the container's id */
  async volumesFrom(from: string, config: HostConfig): Promise<string> {
    const [ref = '', ...mode] = from.split(':');
    const { dockerId, mounts } = await this.#known('HostConfig.VolumesFrom', ref);
    const covered = targetsOf(config);
    const left = mounts.filter(({ target }) => !covered.has(target));
    const strange = left.find(({ type }) => type !== 'volume' && type !== 'tmpfs');
    if (strange) throw refusal('HostConfig.VolumesFrom', `${from} with its mount at ${strange.target}`);
    await this.volumesAmong(left);
    return [dockerId, ...mode].join(':');
  }

  async volumesAmong(mounts: readonly KnownMount[]): Promise<void> {
    const names = mounts.flatMap(({ type, name }) => (type === 'volume' ? [name] : []));
    await Promise.all(names.map((name) => this.volume(name)));
  }

  /** Docker creates a missing volume, which is then empty. */
  async volume(name: string): Promise<void> {
    if (isAllowed(this.#asker, 'Volumes', name)) return;
    const found = await this.#references.volume(name);
    if (!found || (found.driver === 'local' && !found.hasOptions)) return;
    throw refusal(
      'the volume',
      `${name}, which has another driver than local, or options`,
      `Volumes=${name}`,
    );
  }

  async networks({ HostConfig: host, NetworkingConfig: networking }: CreateBody): Promise<void> {
    const { EndpointsConfig: endpoints } = (networking ?? {}) as { EndpointsConfig?: object | null };
    const mode = host?.NetworkMode ?? '';
    const isShared = mode.startsWith('container:');
    const names = new Set([...(isShared ? [] : [mode]), ...Object.keys(endpoints ?? {})]);
    await Promise.all([...names].map((name) => acceptNetwork(name, this.#asker.allowed, this.#references)));
  }

  async #known(field: string, ref: string): Promise<KnownContainer> {
    const found = await this.#references.container(ref);
    if (found) return found;
    throw new ServiceError('create.bad_body', {
      why: `${field} names ${JSON.stringify(ref)}, which Docker does not know`,
    });
  }
}

function isHosted(labels: Labels, hostId: string): boolean {
  return isHostedOn(labels, hostId) && containerIdOf(labels) !== undefined;
}

/** The targets that a body mounts itself. They take precedence over the mounts of another container. */
function targetsOf({ Binds, Mounts }: HostConfig): Set<KnownMount['target']> {
  const bound = (Binds ?? []).map((bind) => parseBind(bind, 'Binds').target);
  return new Set([...bound, ...(Mounts ?? []).map(({ Target }) => Target)]);
}
