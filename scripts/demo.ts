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
  say(`${name}: the webserver sends start values, and the client app sends its token …`);
  await claim(service, port, { dpi });
  const found = await askTcp(port);
  const { ownConsole, otherConsole } = found;
  say(
    `${name}: ready. Its program found tty ${found.tty}, port ${found.port}, DPI ${found.dpi}, timeout ${found.timeout} s;`,
  );
  say(
    `${name}: its program tried to open its own console: ${ownConsole.toLowerCase()}; another container's console: ${otherConsole.toLowerCase()}`,
  );
}

async function show(service: ServiceProcess): Promise<boolean> {
  say('starting the service in localdev, and Docker if it is not running …');
  say('(the service keeps its files, such as /fractal in the table below, in a new directory in /tmp)');
  await service.ready();
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  say('the service accepts containers. Making a small image, without a registry …');
  await importImage(docker, IMAGE);

  say('starting two containers side by side …');
  // Sequential, so that A gets the ports that it prefers.
  const first = await host(service);
  const second = await host(service);
  const names = new Map([
    [await containerIdOf(docker, first), 'container A'],
    [await containerIdOf(docker, second), 'container B'],
  ]);
  await setUp(service, 'container A', await hostPortOf(docker, first), 96);
  await setUp(service, 'container B', await hostPortOf(docker, second), 192);

  say('killing container A from outside …');
  await docker.getContainer(first).kill();
  await service.gone([...names.keys()][0] as string);
  say('container A: the service has released everything that it held');

  say('stopping the service with SIGTERM, while container B is still in use …');
  const exitCode = await service.stop('SIGTERM');
  say(`the service has exited with code ${exitCode}\n`);
  console.log(resourceTable(service.lines, names));
  return exitCode === 0;
}

await demonstrate(show);
