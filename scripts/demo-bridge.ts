/**
 * Demonstrates the Docker API proxy. Docker's own command line creates an interactive container by a label, watches it,
 * and ends it. The receipt then shows everything that it held. No ECS is needed.
 */

import Dockerode from 'dockerode';
import { pathsBelow } from '../host/paths.ts';
import { askTcp, claim } from '../test/support/callers.ts';
import { DockerCli } from '../test/support/docker-cli.ts';
import { containerIdOf, hostPortOf } from '../test/support/inspect.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { receiptOf } from '../test/support/site.ts';
import { demonstrate } from './demonstrate.ts';
import { IMAGE, importImage } from './image.ts';
import { say } from './say.ts';

const NAME = 'ecs-host-service-demo';
const LABEL = 'ecs-host-service.interactive=true';
/** The exit code of a program that runs in the container. */
const CODE = 7;

/** Runs a command, and shows it with its output. @returns the output @throws unless it exits with `code` */
async function shown(cli: DockerCli, words: readonly string[], code = 0): Promise<string> {
  console.log(`\n$ docker ${words.map(quoted).join(' ')}`);
  const { code: ended, out, err } = await cli.run(...words);
  process.stdout.write(out + err);
  if (ended !== code) throw new Error(`docker ${words[0]} ended with ${ended}\n${err}`);
  return out.trim();
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word}'`;
}

/** Shows a container from its beginning to its end. @returns its container id */
async function live(service: ServiceProcess, docker: Dockerode, cli: DockerCli): Promise<string> {
  const id = await shown(cli, ['run', '--detach', '--rm', '--name', NAME, '--label', LABEL, IMAGE]);
  const container = await containerIdOf(docker, id);
  await shown(cli, ['port', NAME]);
  const port = await hostPortOf(docker, id);
  console.log();
  say(`because of the label, the service hosts this container; its identifying port is ${port}`);
  say('the webserver sends start values, and the client app sends its token …');
  await claim(service, port);
  const { tty, dpi, ownConsole, otherConsole } = await askTcp(port);
  say(`the container is ready: tty ${tty}, DPI ${dpi};`);
  say(
    `its program tried to open its own console: ${ownConsole.toLowerCase()}; another container's console: ${otherConsole.toLowerCase()}`,
  );
  say(`the output of its program, and a second program in it, which exits with code ${CODE}:`);
  await shown(cli, ['logs', NAME]);
  await shown(cli, ['exec', NAME, '/streaming-server', 'exit', String(CODE)], CODE);
  console.log();
  say(
    `docker exec returned exit code ${CODE}. The service refuses to restart a hosted container, but stops it:`,
  );
  await shown(cli, ['restart', NAME], 1);
  await shown(cli, ['stop', NAME]);
  await service.gone(container);
  console.log();
  say('the service has released everything that the container held');
  return container;
}

/** @returns whether nothing is left */
async function tell(root: string, container: string): Promise<boolean> {
  const { role, app, cause, resources } = await receiptOf(root, container);
  say(`the container's receipt: role ${role}, app ${app}; ${cause}.`);
  say('its resources, and how the service saw that each was gone:\n');
  for (const { kind, what, seen = 'STILL HELD' } of resources) {
    const short = what.replace(/^.*(?=\/fractal)/, '').replace(container, '<id>');
    console.log(`  ${kind.padEnd(10)} ${short.padEnd(48)} ${seen}`);
  }
  const gone = resources.filter(({ seen }) => seen).length;
  console.log(`\n${resources.length} resources were allotted, and ${gone} were released.`);
  return gone === resources.length;
}

/** @returns whether everything went as expected */
async function show(service: ServiceProcess, root: string): Promise<boolean> {
  say('starting the service in localdev, and Docker if it is not running …');
  await service.ready();
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  await importImage(docker, IMAGE);
  const socket = pathsBelow(root).dockerProxy;
  say(`the service also serves Docker's API; the following commands run with -H unix://${socket}`);
  const container = await live(service, docker, new DockerCli(socket));
  say('stopping the service with SIGTERM …');
  const exitCode = await service.stop('SIGTERM');
  say(`the service has exited with code ${exitCode}`);
  const isAll = await tell(root, container);
  return isAll && exitCode === 0;
}

await demonstrate(show);
