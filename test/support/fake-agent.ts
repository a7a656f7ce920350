/**
 * The part of an ECS agent that its supervision sees: it asks Docker for its version, writes a log in the two formats,
 * registers, answers on loopback, and exits as its settings say, or with an exit code that a client posts.
 */

import { appendFileSync, readFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** The behaviour of one start. */
export interface FakeStart {
  /** Exits with this code instead of registering. */
  readonly exit?: number;
  /** Never registers. */
  readonly hangs?: true;
  /** Ignores a request to exit. */
  readonly isDeaf?: true;
}

export const VERSION = '1.105.1-fake';

const { ECS_DATADIR = '', ECS_CLUSTER = '', ECS_FAKE_PORT = '51678', DOCKER_HOST = '' } = process.env;

/** One line of the file for each start; the last one applies to all further starts. */
const plan: readonly FakeStart[] = JSON.parse(process.env.ECS_FAKE_PLAN ?? '[]');

const starts = join(ECS_DATADIR, 'starts');
appendFileSync(starts, `${process.pid} ${JSON.stringify(process.env)}\n`);
const number = readFileSync(starts, 'utf8').trim().split('\n').length;
const { exit, hangs = false, isDeaf = false } = plan[number - 1] ?? plan.at(-1) ?? {};
let tasks = '{"Tasks":[]}';

function say(level: string, message: string): void {
  const time = new Date().toISOString();
  const line =
    number % 2 === 0
      ? JSON.stringify({ level, time, msg: message, module: 'fake.go' })
      : `level=${level} time=${time} msg=${JSON.stringify(message)} module=fake.go`;
  process.stdout.write(`${line}\n`);
}

function leave(code: number): void {
  process.exitCode = code;
  server.close();
  server.closeAllConnections();
  clearInterval(alive);
}

const alive = setInterval(() => {}, 60_000);
process.on('SIGTERM', () => {
  say('info', isDeaf ? 'Agent does not hear' : 'Agent received termination signal');
  if (!isDeaf) leave(0);
});

const ANSWERS: Readonly<Record<string, () => string>> = {
  '/v1/metadata': () =>
    JSON.stringify({ Cluster: ECS_CLUSTER, ContainerInstanceArn: 'arn:aws:ecs:instance', Version: VERSION }),
  '/v1/tasks': () => {
    say('debug', 'Tells its tasks');
    return tasks;
  },
};

const server = createServer((request, response) => {
  if (request.method === 'POST') {
    void obey(request, response);
    return;
  }
  const answer = ANSWERS[request.url ?? ''];
  response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(answer?.());
});

/** Executes a test's command. */
async function obey(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request);
  response.end();
  if (request.url === '/exit') leave(Number(body));
  else if (request.url === '/log') process.stdout.write(`${body}\n`);
  else tasks = body;
}

/** @returns the status of Docker's answer */
function askDocker(): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ socketPath: DOCKER_HOST.replace('unix://', ''), path: '/_ping' }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', reject);
  });
}

say('info', 'Starting agent');
try {
  say('info', `Docker answers with ${await askDocker()}`);
  if (exit !== undefined) {
    say('critical', `Ends with ${exit} on purpose`);
    leave(exit);
  } else if (!hangs) {
    server.listen(Number(ECS_FAKE_PORT), '127.0.0.1', () => say('info', 'Registered container instance'));
  }
} catch (error) {
  say('error', `Docker does not answer: ${String(error)}`);
  leave(1);
}
