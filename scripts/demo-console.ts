/**
 * Demonstrates the web console. It starts a host with a few containers and prints an address for a browser. It ends with
 * Ctrl-C. Docker must be running, or the service must be able to start it.
 */

import { once } from 'node:events';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { serveOnLoopback } from '../src/web-console/loopback-server.ts';
import { containerOn, importShellImage } from '../test/support/shell-image.ts';
import { demonstrate } from './demonstrate.ts';
import { say } from './say.ts';

const CONTAINERS = 3;

await demonstrate(async (service, root) => {
  say('starting the service in localdev, and Docker if it is not running …');
  await service.ready();
  await importShellImage(new Dockerode({ socketPath: '/var/run/docker.sock' }));
  for (let i = 0; i < CONTAINERS; i++) await containerOn(root);
  const { server, url } = await serveOnLoopback(join(root, 'run/ecs-host-service/api.sock'), 0);
  say(`${CONTAINERS} containers are running. Open this address in a browser on this machine; it works once:`);
  console.log(`\n  ${url}\n`);
  say('to end the demo, press Ctrl-C, or drain the host and wait until its containers have ended');
  await Promise.race([once(process, 'SIGINT'), service.ended()]);
  server.closeAllConnections();
  server.close();
  return (await service.stop()) === 0;
});
