/**
 * Demonstrates user configs. What a container leaves is saved when it ends, although S3 is unreachable, and the user's
 * next container gets it. S3 is simulated in this process.
 */

import { readdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { pathsBelow } from '../host/paths.ts';
import { askTcp, claim, host } from '../test/support/callers.ts';
import { containerIdOf, hostPortOf } from '../test/support/inspect.ts';
import { S3 } from '../test/support/s3.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { demonstrate } from './demonstrate.ts';
import { IMAGE, importImage } from './image.ts';
import { say } from './say.ts';

const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });

/** Hosts a container of the user, checks the files in it, and leaves a mark. @returns its docker id and container id */
async function visit(service: ServiceProcess, name: string) {
  const dockerId = await host(service);
  const port = await hostPortOf(docker, dockerId);
  await claim(service, port);
  const { userConfig, visits } = await askTcp(port);
  say(`${name}: its user config is ${userConfig}; marks that earlier containers left in it: ${visits}`);
  return { dockerId, id: await containerIdOf(docker, dockerId), visits };
}

async function end(
  service: ServiceProcess,
  name: string,
  { dockerId, id }: { dockerId: string; id: string },
) {
  await docker.getContainer(dockerId).kill();
  await service.gone(id);
  say(
    `${name}: it was killed from outside; the service has packed and encrypted its files on the disk, and released it`,
  );
}

async function show(service: ServiceProcess, s3: S3, spool: string): Promise<boolean> {
  say('starting the service in localdev, with a bucket in a simulated S3 …');
  await service.ready();
  await importImage(docker, IMAGE);
  const first = await visit(service, 'container A');
  say('S3 becomes unreachable …');
  await s3.turn('away');
  await end(service, 'container A', first);
  say(
    `saves that wait on this host: ${(await readdir(spool)).filter((name) => name.endsWith('.age')).length}`,
  );
  const second = await visit(service, 'container B');
  await end(service, 'container B', second);
  say('S3 is reachable again …');
  await s3.turn('none');
  while (!service.hasEnded && (await readdir(spool)).length > 0) await pause(50);
  const third = await visit(service, 'container C');
  await end(service, 'container C', third);
  const exitCode = await service.stop('SIGTERM');
  say(`the service has exited with code ${exitCode}. The bucket contains:\n`);
  console.log((await s3.keys()).join('\n'));
  return exitCode === 0 && [first, second, third].every(({ visits }, index) => visits === index);
}

await using s3 = await S3.open();
await demonstrate((service, root) => show(service, s3, pathsBelow(root).spool), s3.settings);
