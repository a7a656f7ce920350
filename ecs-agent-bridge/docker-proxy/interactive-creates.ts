/**
 * Recognises create calls of other Docker clients for hosted containers, and adds the ports, mounts and defaults that
 * they leave to this service.
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
 * Whether a body contains the placeholder in its mounts or requests a hosted container by a label, in any way in which
 * Docker could read the body: all values of a duplicate field count, and old clients put the host configuration's
 * fields into the body itself.
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
 * The app's name, from the name of the image. It selects the user's files. As with the predecessor, it is the part
 * between `fractal/` and the tag; for other images it is the repository.
 * @throws {ServiceError} `create.bad_body`
 */
export function appNameOf(image: string): string {
  // The image is named by its id only.
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
 * Adds everything that a container of this service has. With only the label, a container gets all of it; what the body
 * sets itself stays.
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

/**
 * The container whose network it will share, if any.
 * @throws {ServiceError} `create.no_network` if nobody could reach it
 */
export function networkOf({ HostConfig: host }: CreateBody): string | undefined {
  const mode = host?.NetworkMode ?? '';
  if (mode === 'host' || mode === 'none') throw new ServiceError('create.no_network', { mode });
  return mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;
}

/**
 * The first minor version of the API that supports all fields of the amended body. Source: the API's history, 1.40 and
 * 1.41.
 */
const NEEDED = 41;

/**
 * Raises a call to a version of the API that supports the amended body, with Docker's defaults for the client's
 * version.
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
