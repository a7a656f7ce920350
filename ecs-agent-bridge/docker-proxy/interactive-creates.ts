/**
 * Which create calls of other clients of Docker are for a hosted container, and what those leave to us: the ports,
 * mounts and defaults that our own spin-up writes itself.
 */

import { type CreateBody, PLACEHOLDER } from '../../container/creation/create-body.ts';
import { ownMounts } from '../../container/creation/own-mounts.ts';
import type { Purpose } from '../../container/facts.ts';
import { INTERACTIVE, TASK } from '../../container/labels.ts';
import { CLIENT_PORTS } from '../../container/network/published-ports.ts';
import { Members, membersOf, type Tree } from '../../docker-engine/docker-json.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import { minorVersionOf, VERSION } from './message-head.ts';

/**
 * Whether a body has our placeholder in what it mounts, or says so by a label, in any way in which Docker could read
 * it: of a field that comes twice, each counts, and old clients have the fields of the host configuration in the body itself.
 */
export function isInteractive(body: Tree): boolean {
  const labels = membersOf(body, 'Labels').flatMap((one) => (one instanceof Members ? one.list : []));
  if (labels.some(([name, value]) => name === INTERACTIVE && value === 'true')) return true;
  const hosts = [body, ...membersOf(body, 'HostConfig')];
  const sources = hosts.flatMap((host) => [
    ...itemsOf(host, 'Binds'),
    ...itemsOf(host, 'Mounts').flatMap((mount) => membersOf(mount, 'Source')),
  ]);
  return sources.some((source) => typeof source === 'string' && source.includes(PLACEHOLDER));
}

function itemsOf(tree: Tree, name: string): Tree[] {
  return membersOf(tree, name).flatMap((one) => (Array.isArray(one) ? one : []));
}

export function purposeOf({ Image = '', Labels }: CreateBody): Purpose {
  const task = Labels?.[TASK];
  return { role: task ? 'ecs' : 'docker', appName: appNameOf(Image), ...(task && { task }) };
}

/**
 * What of an image's name names the app, and with it the user's files: as the predecessor had it, what lies between
 * `fractal/` and the tag; of other images the repository. @throws {ServiceError} `create.bad_body`
 */
export function appNameOf(image: string): string {
  // Named by its id alone.
  if (/^sha256:[0-9a-f]+$/.test(image)) return image;
  const [repository = ''] = image.split('@', 1);
  const start = repository.indexOf('fractal/');
  const name =
    start === -1
      ? repository.replace(/:[^:/]*$/, '')
      : (repository.slice(start + 'fractal/'.length).split(':', 1)[0] ?? '');
  if (!name) throw new ServiceError('create.bad_body', { why: `the image "${image}" has no name` });
  return name;
}

/**
 * With the label and nothing else a container gets all that one of ours has; what the body says itself stays.
 * @param hasUdev as in `ownMounts`
 */
export function complete(body: CreateBody, paths: Paths, hasUdev?: boolean): CreateBody {
  if (body.Labels?.[INTERACTIVE] !== 'true') return body;
  const host = body.HostConfig ?? {};
  const mounted = new Set([
    ...(host.Binds ?? []).map((bind) => bind.split(':')[1]),
    ...(host.Mounts ?? []).map(({ Target }) => Target),
  ]);
  const own = ownMounts(paths, hasUdev).filter(({ Target }) => !mounted.has(Target));
  const ports = networkOf(body) ? [] : CLIENT_PORTS;
  return {
    ...body,
    HostConfig: {
      ...host,
      Mounts: [...(host.Mounts ?? []), ...own],
      PortBindings: { ...Object.fromEntries(ports.map((port) => [port, []])), ...host.PortBindings },
    },
  };
}

/** The container whose network it is to share, if any. @throws {ServiceError} `create.no_network` where nobody could reach it */
export function networkOf({ HostConfig: host }: CreateBody): string | undefined {
  const mode = host?.NetworkMode ?? '';
  if (mode === 'host' || mode === 'none') throw new ServiceError('create.no_network', { mode });
  return mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;
}

/** From this version on Docker heeds everything that the amended body has. Source: its API's history, 1.40 and 1.41. */
const NEEDED = 41;

/**
 * The call in a version of the API in which the amended body means what it says, with the defaults that Docker has for
 * the version that the client speaks.
 * @param target of the request, such as `/v1.21/containers/create?name=one`
 */
export function inNeededVersion(
  target: string,
  body: CreateBody,
  hasCgroups2: boolean,
): { readonly target: string; readonly body: CreateBody } {
  const minor = minorVersionOf(target) ?? NEEDED;
  if (minor >= NEEDED) return { target, body };
  const host = body.HostConfig ?? {};
  return {
    target: target.replace(VERSION, `/v1.${NEEDED}/`),
    body: {
      ...body,
      HostConfig: {
        ...host,
        ...(minor < 25 && { AutoRemove: false }),
        ...(minor < 40 && { IpcMode: host.IpcMode || 'shareable' }),
        ...(!hasCgroups2 && { CgroupnsMode: host.CgroupnsMode || 'host' }),
      },
    },
  };
}
