/**
 * The web console, shown: a host with a few containers, at an address to open in a browser, until Ctrl-C. Docker must be
 * running, or be startable.
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
  say('starting the service in localdev, and Docker if it does not run …');
  await service.ready();
  await importShellImage(new Dockerode({ socketPath: '/var/run/docker.sock' }));
  for (let i = 0; i < CONTAINERS; i++) await containerOn(root);
  const { server, url } = await serveOnLoopback(join(root, 'run/ecs-host-service/api.sock'), 0);
  say(`${CONTAINERS} containers run. Open this address in a browser on this machine; it works once:`);
  console.log(`\n  ${url}\n`);
  say('the demo ends with Ctrl-C, or when you drain the host and the containers have ended');
  await Promise.race([once(process, 'SIGINT'), service.ended()]);
  server.closeAllConnections();
  server.close();
  return (await service.stop()) === 0;
});
