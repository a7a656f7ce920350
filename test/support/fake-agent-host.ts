/**
 * A process that supervises an agent like the service, and does nothing else, so that a test can kill it. SIGUSR2 means that
 * Docker is lost.
 */

import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { HostedDocker } from '../../container/hosted-docker.ts';
import { EcsAgent } from '../../ecs-agent-bridge/agent/ecs-agent.ts';
import { holdSharedDirectory } from '../../host/directories.ts';
import { pathsBelow } from '../../host/paths.ts';
import { Holdings } from '../../lifetime/holdings.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { Outlets } from '../../logging/outlets.ts';
import { loadSettings } from '../../settings/load.ts';
import { ledgerOf } from './fake-agent-site.ts';

const settings = loadSettings(process.env);
const paths = pathsBelow(settings.ROOT);
const outlets = new Outlets({ write: (line) => void process.stdout.write(line) });
const log = createLogger({ level: settings.LOG_LEVEL, stream: outlets });
const ledger = ledgerOf(paths);
const left = ledger.open();
const lifetime = new Lifetime('service', {
  holdings: new Holdings((event) => ledger.observe(event)),
  report: (failure) => log.error(failure, 'could not be ended'),
});
const proxySocket = join(paths.run, 'agent.sock');
await rm(proxySocket, { force: true });
const proxy = createServer((_, response) => response.end('OK'));
await new Promise<void>((resolve) => proxy.listen(proxySocket, resolve));

async function end(): Promise<void> {
  await lifetime.end();
  proxy.close();
  proxy.closeAllConnections();
}

process.once('SIGTERM', () => void end());

const agent = await EcsAgent.open(lifetime, {
  settings,
  environment: process.env,
  paths,
  hostId: 'the-host',
  docker: await HostedDocker.open(settings.DOCKER_HOST),
  proxySocket,
  ledger,
  left,
  secrets: outlets.secrets,
  log,
  share: (path, mode) => holdSharedDirectory(lifetime, path, mode),
  drain: () => log.info('the host drains'),
  // The machine is busy when a Docker Engine dies on it.
  timing: { quick: 5000, dockerAway: Number(process.env.TEST_DOCKER_AWAY ?? 30_000) },
});
async function loseDocker(): Promise<void> {
  await agent?.dockerLost();
  log.info('the agent knows that Docker is lost');
}

process.on('SIGUSR2', () => void loseDocker());
log.info(`keeps ${agent ? 'an agent' : 'none'}`);
