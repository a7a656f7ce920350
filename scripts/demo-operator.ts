/**
 * Demonstrates the operator's command line. It creates, lists, watches and ends two containers, and shows their
 * receipts. Another process follows the events meanwhile.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import Dockerode from 'dockerode';
import { claim } from '../test/support/callers.ts';
import { containerIdOf, hostPortOf } from '../test/support/inspect.ts';
import { Operator } from '../test/support/operator.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { importShellImage } from '../test/support/shell-image.ts';
import { demonstrate } from './demonstrate.ts';
import { IMAGE } from './image.ts';
import { say } from './say.ts';

/** Shows what the service gave to a container. */
const LOOK = 'tty; cd /fractal/resourceMappings; for f in *; do echo "$f: $(cat $f)"; done';
const PROGRAM = join(import.meta.dirname, '../src/ecs-host-service.ts');

/** Types commands. */
class Terminal {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  #start(words: readonly string[], end = ''): ChildProcess {
    console.log(`\n$ ecs-host-service ${words.join(' ')}${end}`);
    return spawn(process.execPath, [PROGRAM, ...words], {
      env: { PATH: process.env.PATH, ROOT: this.#root },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  /** Shows a command and its output. @returns the output @throws when it fails */
  async run(...words: string[]): Promise<string> {
    const child = this.#start(words);
    const ended = once(child, 'close');
    const said = await text(child.stdout as NodeJS.ReadableStream);
    process.stdout.write(said);
    const [code] = await ended;
    if (code !== 0) throw new Error(`${words[0]} ended with ${code}`);
    return said;
  }

  /** Shows the output of a command line by line until it ends. */
  follow(...words: string[]): Promise<unknown> {
    const child = this.#start(words, ' &');
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => console.log(`[events] ${line}`));
    return once(child, 'close');
  }
}

/** The short id of the last container in a table. */
function lastIn(table: string): string {
  return /^([0-9a-f]+) .*\n$/m.exec(table.slice(table.trimEnd().lastIndexOf('\n') + 1))?.[1] ?? '';
}

/** Shows two containers from beginning to end. @returns when the process that follows the events has ended */
async function live(service: ServiceProcess, root: string, docker: Dockerode) {
  const terminal = new Terminal(root);
  const operator = new Operator(root);
  using begun = await operator.follow();
  say('an operator creates a container:');
  const limits = ['--memory', '128MiB', '--env', 'LANG=C.UTF-8'];
  const first = lastIn(await terminal.run('create', IMAGE, '--app', 'demo', ...limits));
  const [event] = await begun.until(() => true);
  console.log();
  say('the operator follows the events of this host, starting with those of that container:');
  const followed = terminal.follow('events', '--after', event?.id ?? '');
  const second = lastIn(await terminal.run('create', IMAGE, '--app', 'demo'));
  const dockerIds = (await docker.listContainers()).map(({ Id }) => Id);
  const ids = await Promise.all(dockerIds.map((id) => containerIdOf(docker, id)));
  const dockerIdOf = (short: string) => dockerIds[ids.findIndex((id) => id.startsWith(short))] ?? '';
  console.log();
  say(
    'a user gets the first container: the webserver sends start values, and the client app sends its token …',
  );
  await claim(service, await hostPortOf(docker, dockerIdOf(first)));
  await terminal.run('ps');
  await terminal.run('capacity');
  console.log();
  say('the operator runs a command in the first container, in a new terminal:');
  await terminal.run('exec', '-it', first, 'sh', '-c', LOOK);
  console.log();
  say(
    'the operator stops the first container. The answer is its receipt: how the service saw that each resource was gone',
  );
  say('(the Docker container stays for ten minutes, so that you can read its log):');
  await terminal.run('stop', first);
  console.log();
  say('the second container is killed from outside. Its receipt says why it ended:');
  await docker.getContainer(dockerIdOf(second)).kill();
  await service.gone(ids.find((id) => id.startsWith(second)) ?? '');
  await terminal.run('receipt', second);
  return { followed };
}

async function show(service: ServiceProcess, root: string): Promise<boolean> {
  say('starting the service in localdev, and Docker if it is not running …');
  await service.ready();
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  await importShellImage(docker, IMAGE);
  say(
    `commands need root and address the service on this host; ROOT=${root} selects the service of this demo`,
  );
  const { followed } = await live(service, root, docker);
  console.log();
  say('stopping the service with SIGTERM, which also ends the stream of events …');
  const exitCode = await service.stop('SIGTERM');
  const [code] = (await followed) as [number];
  say(`the service has exited with code ${exitCode}`);
  return exitCode === 0 && code === 0;
}

await demonstrate(show);
