/**
 * Measures what this service adds to Docker: spinning a container up through it, against asking Docker itself
 * to create and start the same container. Both sides take turns in random order within one run, so that only
 * their ratio is told; how fast the machine is does not matter.
 */

import { mkdirSync } from 'node:fs';
import type Dockerode from 'dockerode';
import { host as spinUp } from '../test/support/callers.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { TestHost } from '../test/support/test-host.ts';

const PAIRS = 40;
const SOURCE = '/run/test/bench';

type Side = () => Promise<{ readonly milliseconds: number; readonly dockerId: string }>;

async function timed(work: () => Promise<string>): ReturnType<Side> {
  const beginning = performance.now();
  const dockerId = await work();
  return { milliseconds: performance.now() - beginning, dockerId };
}

/** The body that the service gave to Docker, with a directory that stays in place of the container's own. */
async function sameBody(docker: Dockerode, dockerId: string): Promise<Dockerode.ContainerCreateOptions> {
  const { Config, HostConfig } = await docker.getContainer(dockerId).inspect();
  const Mounts = HostConfig.Mounts?.map((mount) =>
    mount.Source.startsWith('/run/test/') ? { ...mount, Source: SOURCE } : mount,
  );
  const { Image, Tty, OpenStdin, ExposedPorts, Labels } = Config;
  const labels = { ...Labels, 'ecs-host-service.host-id': 'none' };
  return {
    Image,
    Tty,
    OpenStdin,
    ExposedPorts,
    Labels: labels,
    HostConfig: { ...HostConfig, ...(Mounts && { Mounts }) },
  };
}

async function direct(docker: Dockerode, body: Dockerode.ContainerCreateOptions): Promise<string> {
  const container = await docker.createContainer(body);
  await container.start();
  return container.id;
}

/** Removes a container and waits until the service, if it is one of its own, has released everything. */
async function removeSpunUp(host: TestHost, service: ServiceProcess, dockerId: string): Promise<void> {
  const id = await host.containerIdOf(dockerId);
  await host.docker.getContainer(dockerId).remove({ force: true });
  await service.gone(id);
}

function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))] as number;
}

mkdirSync(SOURCE, { recursive: true });
await using host = await TestHost.open();
const service = await host.start({ env: { LOG_LEVEL: 'info' } }).ready();
const first = await spinUp(service);
const body = await sameBody(host.docker, first);
await removeSpunUp(host, service, first);

const ratios: number[] = [];
for (let pair = 1; pair <= PAIRS; pair++) {
  const measure = {
    service: async () => {
      const { milliseconds, dockerId } = await timed(() => spinUp(service));
      await removeSpunUp(host, service, dockerId);
      return milliseconds;
    },
    docker: async () => {
      const { milliseconds, dockerId } = await timed(() => direct(host.docker, body));
      await host.docker.getContainer(dockerId).remove({ force: true });
      return milliseconds;
    },
  };
  const order = Math.random() < 0.5 ? (['service', 'docker'] as const) : (['docker', 'service'] as const);
  const taken = { service: 0, docker: 0 };
  for (const side of order) taken[side] = await measure[side]();
  ratios.push(taken.service / taken.docker);
  process.stdout.write(`\rpair ${pair} of ${PAIRS} `);
}
await service.stop();

const [low, median, high] = [0.05, 0.5, 0.95].map((q) => quantile(ratios, q).toFixed(2));
console.log(
  `\nspin_up through the service / create + start by Docker alone: ${median}× (median of ${PAIRS} pairs; 5 to 95 %: ${low}× to ${high}×)`,
);
