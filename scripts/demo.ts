/**
 * Demonstrates the main function. The service starts in localdev and hosts two containers from beginning to end. A
 * table then shows when each resource was taken and when its release was observed.
 */

import Dockerode from 'dockerode';
import { askTcp, claim, host } from '../test/support/callers.ts';
import { containerIdOf, hostPortOf } from '../test/support/inspect.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { demonstrate } from './demonstrate.ts';
import { IMAGE, importImage } from './image.ts';
import { resourceTable } from './resource-table.ts';
import { say } from './say.ts';

/** Plays the webserver and the client app, and shows the answer of the program in the container. */
async function setUp(service: ServiceProcess, name: string, port: number, dpi: number): Promise<void> {
  say(`${name}: the webserver sends start values, the client app its token …`);
  await claim(service, port, { dpi });
  const found = await askTcp(port);
  const { ownConsole, otherConsole } = found;
  say(
    `${name}: ready. It found tty ${found.tty}, port ${found.port}, DPI ${found.dpi}, timeout ${found.timeout} s;`,
  );
  say(`${name}: its own console: ${ownConsole.toLowerCase()}; another one's: ${otherConsole.toLowerCase()}`);
}

async function show(service: ServiceProcess): Promise<boolean> {
  say('starting the service in localdev, and Docker if it does not run …');
  say('(its files, such as /fractal below, are in a new directory in /tmp)');
  await service.ready();
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  say('the service hosts containers. Making a small image, without any registry …');
  await importImage(docker, IMAGE);

  say('hosting two containers, side by side …');
  // Sequential, so that A gets the ports that it prefers.
  const first = await host(service);
  const second = await host(service);
  const names = new Map([
    [await containerIdOf(docker, first), 'container A'],
    [await containerIdOf(docker, second), 'container B'],
  ]);
  await setUp(service, 'container A', await hostPortOf(docker, first), 96);
  await setUp(service, 'container B', await hostPortOf(docker, second), 192);

  say('container A is killed from outside …');
  await docker.getContainer(first).kill();
  await service.gone([...names.keys()][0] as string);
  say('container A: everything it owned was seen released');

  say('the service is asked to stop (SIGTERM), with container B still in use …');
  const exitCode = await service.stop('SIGTERM');
  say(`the service has ended, exit code ${exitCode}\n`);
  console.log(resourceTable(service.lines, names));
  return exitCode === 0;
}

await demonstrate(show);
