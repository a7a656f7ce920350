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

/** Shows what a container has been given. */
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
  say('an operator has a container made:');
  const limits = ['--memory', '128MiB', '--env', 'LANG=C.UTF-8'];
  const first = lastIn(await terminal.run('create', IMAGE, '--app', 'demo', ...limits));
  const [event] = await begun.until(() => true);
  console.log();
  say('and follows what happens on this host, from the beginning of that one on:');
  const followed = terminal.follow('events', '--after', event?.id ?? '');
  const second = lastIn(await terminal.run('create', IMAGE, '--app', 'demo'));
  const dockerIds = (await docker.listContainers()).map(({ Id }) => Id);
  const ids = await Promise.all(dockerIds.map((id) => containerIdOf(docker, id)));
  const dockerIdOf = (short: string) => dockerIds[ids.findIndex((id) => id.startsWith(short))] ?? '';
  console.log();
  say('a user comes to the first one: the webserver sends start values, the client app its token …');
  await claim(service, await hostPortOf(docker, dockerIdOf(first)));
  await terminal.run('ps');
  await terminal.run('capacity');
  console.log();
  say('an operator looks into the first one, with a terminal of its own:');
  await terminal.run('exec', '-it', first, 'sh', '-c', LOOK);
  console.log();
  say('the first one is stopped, and the answer is its receipt: how each thing that it held was seen gone');
  say('(the Docker container stays for ten minutes, so that its log can be read):');
  await terminal.run('stop', first);
  console.log();
  say('the second one is killed from outside. Why it ended stays in its receipt:');
  await docker.getContainer(dockerIdOf(second)).kill();
  await service.gone(ids.find((id) => id.startsWith(second)) ?? '');
  await terminal.run('receipt', second);
  return { followed };
}

async function show(service: ServiceProcess, root: string): Promise<boolean> {
  say('starting the service in localdev, and Docker if it does not run …');
  await service.ready();
  const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
  await importShellImage(docker, IMAGE);
  say(`commands are for the service on this host, as root; that of this demo is found by ROOT=${root}`);
  const { followed } = await live(service, root, docker);
  console.log();
  say('the service is asked to stop (SIGTERM), and with it end the events …');
  const exitCode = await service.stop('SIGTERM');
  const [code] = (await followed) as [number];
  say(`the service has ended, exit code ${exitCode}`);
  return exitCode === 0 && code === 0;
}

await demonstrate(show);
