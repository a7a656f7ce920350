/**
 * Measures the cost of a terminal: the delay of the echo of a key, compared with Docker's own `docker exec -it`, and
 * the service's memory for each open terminal.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NODE_FLAGS } from '../scripts/node-flags.ts';
import { Operator } from '../test/support/operator.ts';
import { Person } from '../test/support/person.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { containerOn, importShellImage } from '../test/support/shell-image.ts';
import { TerminalClient } from '../test/support/terminal-client.ts';
import { TestHost } from '../test/support/test-host.ts';
import { inRandomOrder, type Measure, median, ofPairs, type Row, row, timed } from './measure.ts';

/** Each line is typed on both sides, in turns for each key. */
const LINE = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LINES = 30;
/** Lines that are typed first, until all parts have warmed up. */
const WARM_LINES = 30;

const TERMINALS = 50;
const ROUNDS = 3;
/** Terminals that are opened and ended first, so that everything is loaded. */
const FIRST_ONES = 3;
/** The output of each terminal, which then waits. */
const PRINTS = ['/bin/sh', '-c', 'seq 1 2000; cat'];
const PRINTED = '2000\r\n';
const MEBIBYTE = 1024;
/** Milliseconds after which an idle service has settled, and between samples of its memory. */
const SETTLED = 2000;
const BETWEEN_LOOKS = 300;
const LOOKS = 5;

const PROGRAM = join(import.meta.dirname, '../src/ecs-host-service.ts');

type Say = (progress: string) => void;

interface Hosted {
  readonly root: string;
  readonly service: ServiceProcess;
  readonly id: string;
}

async function hostedOn(host: TestHost): Promise<Hosted> {
  const root = host.newRoot();
  const limits = { TERMINALS: '60', TERMINALS_PER_CONTAINER: '60' };
  const service = await host.start({ env: { ROOT: root, LOG_LEVEL: 'info', ...limits } }).ready();
  return { root, service, id: await containerOn(root) };
}

/** @returns the milliseconds for each key, on the service's side and on Docker's */
async function typeLine(ours: Person, dockers: Person): Promise<[number, number][]> {
  const pairs: [number, number][] = [];
  for (const key of LINE) {
    const echoed = (person: Person) => () =>
      timed(async () => {
        person.type(key);
        await person.sees(RegExp(key));
      });
    pairs.push(await inRandomOrder(echoed(ours), echoed(dockers)));
  }
  for (const person of [ours, dockers]) {
    person.type('\r');
    await person.sees(RegExp(`^\r\n${LINE}\r\n`));
  }
  return pairs;
}

async function keys(host: TestHost, say: Say): Promise<Row> {
  const { root, service, id } = await hostedOn(host);
  const env = { PATH: process.env.PATH as string, ROOT: root };
  const { docker } = (await new Operator(root).get(`/v1/containers/${id}`)).body;
  const dockers = new Person('docker', ['exec', '-it', docker, 'cat'], { env });
  const ours = new Person(process.execPath, [...NODE_FLAGS, PROGRAM, 'exec', '-it', id, 'cat'], { env });
  for (const person of [ours, dockers]) {
    person.type('ready\r');
    await person.sees(/ready\r\nready\r\n/);
  }
  const pairs: [number, number][] = [];
  for (let line = 1 - WARM_LINES; line <= LINES; line++) {
    say(`line ${line} of ${LINES}`);
    const taken = await typeLine(ours, dockers);
    if (line > 0) pairs.push(...taken);
  }
  for (const person of [ours, dockers]) person.type('\x04');
  await Promise.all([ours, dockers].map((person) => person.ended()));
  await service.stop();
  return ofPairs('time from a key to its echo, over docker exec -it', pairs, { median: 1.5 });
}

async function openTerminal({ root, id }: Hosted): Promise<TerminalClient> {
  const query = PRINTS.map((word) => `command=${encodeURIComponent(word)}`).join('&');
  const client = await TerminalClient.open(root, `/containers/${id}/terminal?${query}`);
  await client.sees(PRINTED);
  return client;
}

async function endTerminal(client: TerminalClient): Promise<void> {
  client.type('\x04');
  await client.ended();
}

/** @returns KiB */
async function residentOf({ service }: Hosted): Promise<number> {
  await pause(SETTLED);
  const looks: number[] = [];
  while (looks.length < LOOKS) {
    const status = readFileSync(`/proc/${service.child.pid}/status`, 'utf8');
    looks.push(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]));
    await pause(BETWEEN_LOOKS);
  }
  return median(looks);
}

/** @returns the KiB by which a new service grows with each terminal */
async function memoryOfEach(host: TestHost, say: Say): Promise<number> {
  const hosted = await hostedOn(host);
  for (let i = 0; i < FIRST_ONES; i++) await endTerminal(await openTerminal(hosted));
  const before = await residentOf(hosted);
  const clients: TerminalClient[] = [];
  while (clients.length < TERMINALS) {
    say(`terminal ${clients.length + 1} of ${TERMINALS}`);
    clients.push(await openTerminal(hosted));
  }
  const grown = (await residentOf(hosted)) - before;
  await Promise.all(clients.map(endTerminal));
  await hosted.service.stop();
  return grown / TERMINALS;
}

async function memory(host: TestHost, say: Say): Promise<Row> {
  const each: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    each.push((await memoryOfEach(host, (progress) => say(`round ${round}: ${progress}`))) / MEBIBYTE);
  }
  return row(
    `resident memory of each of ${TERMINALS} open terminals, over 1 MiB`,
    median(each),
    Math.max(...each),
    { median: 1 },
  );
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  await importShellImage(host.docker);
  return {
    method: `The time from a key that is typed into cat in a container until its echo is seen, with the service's command line and with Docker's, each in its own pseudo-terminal: ${LINES * LINE.length} keys on each side, one after the other, in random order. Then the growth of the service's resident memory with ${TERMINALS} terminals, each with a client that has received 11 kB: ${ROUNDS} rounds, each with a new service.`,
    rows: [await keys(host, say), await memory(host, say)],
  };
};
