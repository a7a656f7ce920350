/** Containers for the measurements, created through the service, or by Docker alone from the same body. */

import { mkdirSync } from 'node:fs';
import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import type Dockerode from 'dockerode';
import { pathsBelow } from '../host/paths.ts';
import { IMAGE } from '../scripts/image.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import type { TestHost } from '../test/support/test-host.ts';

/** Replaces the directories that the service creates. */
const SOURCE = '/run/test/bench';

/** Each side keeps its connections open, like a client that calls often. */
export const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });

const BODY = JSON.stringify({ app: 'demo', image: IMAGE, timeout: 60 });

/** @returns the body of the answer */
export async function put(port: number, path: string, body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const options = { agent, host: '127.0.0.1', port, method: 'PUT', path, headers };
  request(options, (response) => void text(response).then(resolve, reject))
    .on('error', reject)
    .end(body);
  return await promise;
}

/**
 * @param root of the service
 * @returns a function that makes the service create a container and resolves with the docker id
 */
export function makerAt(root: string): () => Promise<string> {
  const headers = { 'content-length': Buffer.byteLength(BODY) };
  const asked = { socketPath: pathsBelow(root).apiSocket, method: 'POST', path: '/v1/containers', headers };
  const options = { ...asked, agent: new PlainAgent({ keepAlive: true }) };
  return async () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    plainRequest(options, (response) => void text(response).then(resolve, reject))
      .on('error', reject)
      .end(BODY);
    const { docker, detail } = JSON.parse(await promise);
    if (!docker) throw new Error(detail);
    return docker;
  };
}

/** @returns the docker id */
export async function direct(docker: Dockerode, body: Dockerode.ContainerCreateOptions): Promise<string> {
  const container = await docker.createContainer(body);
  await container.start();
  return container.id;
}

/** The body that the service gave to Docker, with a permanent directory in place of the container's own. */
export async function sameBody(
  docker: Dockerode,
  dockerId: string,
): Promise<Dockerode.ContainerCreateOptions> {
  mkdirSync(SOURCE, { recursive: true });
  const { Config, HostConfig } = await docker.getContainer(dockerId).inspect();
  const Mounts = HostConfig.Mounts?.map((mount) =>
    mount.Source.startsWith('/run/test/') ? { ...mount, Source: SOURCE } : mount,
  );
  const { Image, Tty, OpenStdin, ExposedPorts, Labels } = Config;
  // Another host id, because the service would remove the container as a stray.
  const others = { ...Labels, 'ecs-host-service.host-id': 'none' };
  return {
    Image,
    Tty,
    OpenStdin,
    ExposedPorts,
    Labels: others,
    HostConfig: { ...HostConfig, ...(Mounts && { Mounts }) },
  };
}

/** Uses any free host port, because several containers cannot all have the preferred one. */
export function withAnyPorts(body: Dockerode.ContainerCreateOptions): Dockerode.ContainerCreateOptions {
  const bindings = Object.keys(body.HostConfig?.PortBindings ?? {});
  const PortBindings = Object.fromEntries(bindings.map((port) => [port, [{ HostPort: '' }]]));
  return { ...body, HostConfig: { ...body.HostConfig, PortBindings } };
}

/** Removes containers. If they belong to `service`, waits until it has released their resources. */
export async function remove(
  host: TestHost,
  ids: readonly string[],
  service?: ServiceProcess,
): Promise<void> {
  const hosted = await Promise.all(ids.map((id) => host.containerIdOf(id)));
  await Promise.all(ids.map((id) => host.docker.getContainer(id).remove({ force: true })));
  if (service) await Promise.all(hosted.map((id) => service.gone(id)));
}
