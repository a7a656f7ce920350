/**
 * Measures the web console in a browser: the time until the table of a full host is shown, the delay of an event on the
 * screen, and what open consoles cost the service.
 */

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, type Visit, visit } from '../test/support/browser.ts';
import { Operator } from '../test/support/operator.ts';
import { CONSOLE_TOKENS } from '../test/support/secrets.ts';
import { TestHost } from '../test/support/test-host.ts';
import { makerAt, remove } from './containers.ts';
import { inRandomOrder, type Measure, median, ofPairs, quantile, type Row, row } from './measure.ts';
import { start, stop } from './program.ts';

/** One for each virtual console of the host. */
const CONTAINERS = 54;
const LOADS = 30;
const EVENTS = 20;
const CONSOLES = 10;
const ORIGIN = 'https://127.0.0.1:4678';
const TABLE = `${ORIGIN}/console/#/containers`;
/** A page of the same server without anything in it. */
const EMPTY = `${ORIGIN}/healthz`;
const { operator: OPERATOR } = CONSOLE_TOKENS;

/** Milliseconds until an idle service has settled, and for which its processor time is counted. */
const SETTLED = 5000;
const COUNTED = 30_000;
const LOOKS = 5;
const TICKS_PER_SECOND = 100;
const KIB = 1024;
const MOST_MEMORY = 5e6;
const MOST_PROCESSOR = 0.02;

/**
 * Runs in the page before everything else. It records when the rows of the table are shown, and counts the frames
 * between the delivery of an event by the stream and the moment when the page shows the new state.
 */
const WATCH = `
  let frame = 0;
  const count = () => { frame += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
  const delivered = new Map();
  const parse = JSON.parse;
  JSON.parse = (text, ...more) => {
    const value = parse(text, ...more);
    if (value?.container?.id && value.code) delivered.set(value.container.id.slice(0, 12), { state: value.container.state, frame });
    return value;
  };
  const moment = () => Promise.withResolvers();
  const [shown, loaded, all] = [moment(), moment(), moment()];
  const frames = [];
  Object.assign(globalThis, { shownAfter: shown.promise, loadedAfter: loaded.promise, framesOfEvents: all.promise });
  const look = () => {
    if (document.querySelectorAll('tbody tr').length >= ${CONTAINERS})
      requestAnimationFrame(() => shown.resolve(performance.now()));
    if (delivered.size === 0) return;
    const rows = [...document.querySelectorAll('tbody tr')];
    const states = new Map(rows.map((row) => [row.querySelector('code').textContent, row.querySelector('.state').textContent]));
    for (const [id, one] of delivered) {
      if ((states.get(id) ?? 'gone') !== one.state) continue;
      delivered.delete(id);
      frames.push(frame - one.frame);
      // Each container passes two states: it ends, and it is gone.
      if (frames.length === ${2 * EVENTS}) all.resolve(frames);
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
  addEventListener('load', () => requestAnimationFrame(() => loaded.resolve(performance.now())));
`;

async function signIn({ page }: Visit, hash = ''): Promise<void> {
  await page.goto(`${ORIGIN}/console/${hash}`);
  await page.getByLabel('Token').fill(OPERATOR);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Live', { exact: true }).waitFor();
}

/** @returns milliseconds from the start of the navigation until the page has what was asked for, by the page's clock */
async function load(page: Page, url: string, name: 'shownAfter' | 'loadedAfter'): Promise<number> {
  // If only the part after # changes, the browser loads nothing.
  await page.goto('about:blank');
  await page.goto(url);
  return await page.evaluate<number>(name);
}

async function loads(browser: Browser, say: (progress: string) => void): Promise<Row> {
  await using one = await visit(browser);
  await one.page.addInitScript(WATCH);
  await signIn(one);
  const pairs: [number, number][] = [];
  for (let i = -2; i < LOADS; i++) {
    say(`load ${i} of ${LOADS}`);
    const pair = await inRandomOrder(
      () => load(one.page, TABLE, 'shownAfter'),
      () => load(one.page, EMPTY, 'loadedAfter'),
    );
    if (i >= 0) pairs.push(pair);
  }
  return ofPairs(`page load to the table of ${CONTAINERS} containers, over an empty page`, pairs, {
    median: 3,
  });
}

/** @param ids docker ids of containers of the table, which end */
async function frames(browser: Browser, operator: Operator, ids: readonly string[]): Promise<Row> {
  await using one = await visit(browser);
  await one.page.addInitScript(WATCH);
  await signIn(one, '#/containers');
  await one.page.evaluate('shownAfter');
  for (const id of ids) await operator.ask('POST', `/v1/containers/${id}/stop`);
  const counted = await one.page.evaluate<number[]>('framesOfEvents');
  return row(
    'frames from the delivery of an event until it is shown, over one frame',
    median(counted),
    quantile(counted, 0.95),
    { median: 2, p95: 2 },
  );
}

/** @returns the resident memory in bytes */
async function residentOf({ pid }: ChildProcess): Promise<number> {
  await pause(SETTLED);
  const looks: number[] = [];
  while (looks.length < LOOKS) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    looks.push(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * KIB);
    await pause(SETTLED / LOOKS);
  }
  return median(looks);
}

/** @returns the share of a processor that the service uses. Source: proc_pid_stat(5) */
async function processorOf({ pid }: ChildProcess): Promise<number> {
  const seconds = () => {
    const [, ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
    const [user, system] = (fields[0] as string).split(' ').slice(11, 13).map(Number);
    return ((user ?? 0) + (system ?? 0)) / TICKS_PER_SECOND;
  };
  const [before, began] = [seconds(), performance.now()];
  await pause(COUNTED);
  return (seconds() - before) / ((performance.now() - began) / 1000);
}

async function costs(
  browser: Browser,
  service: ChildProcess,
  say: (progress: string) => void,
): Promise<Row[]> {
  // Whatever the first console loads stays loaded.
  for (let i = 0; i < 2; i++) {
    await using first = await visit(browser);
    await signIn(first);
    await first.page.getByRole('img', { name: /^Containers/ }).waitFor();
  }
  say('the service without consoles');
  const [idle, rest] = [await processorOf(service), await residentOf(service)];
  const visits: Visit[] = [];
  while (visits.length < CONSOLES) {
    const one = await visit(browser);
    visits.push(one);
    await signIn(one);
  }
  say(`the service with ${CONSOLES} consoles`);
  const [busy, grown] = [await processorOf(service), await residentOf(service)];
  for (const one of visits) await one[Symbol.asyncDispose]();
  const memory = (grown - rest) / MOST_MEMORY;
  const processor = (busy - idle) / MOST_PROCESSOR;
  return [
    row(`resident memory of ${CONSOLES} open consoles, over 5 MB`, memory, memory, { median: 1 }),
    row(`processor time of ${CONSOLES} open consoles, over 2 % of a core`, processor, processor, {
      median: 1,
    }),
  ];
}

export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const env = {
    APP_ENV: 'localdev',
    ROOT: root,
    OPERATOR_TOKEN: OPERATOR,
    LOG_LEVEL: 'info',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  const service = start('src/ecs-host-service.ts', ['run'], env);
  const operator = new Operator(root);
  const answers = () =>
    operator.get('/v1/capacity').then(
      ({ status }) => status === 200,
      () => false,
    );
  while (!(await answers())) await pause(100);
  const make = makerAt(root);
  const ids: string[] = [];
  for (let made = 1; made <= CONTAINERS; made++) {
    say(`container ${made} of ${CONTAINERS}`);
    ids.push(await make());
  }
  const browser = await openBrowser();
  const rows = [
    await loads(browser, say),
    ...(await costs(browser, service, say)),
    await frames(browser, operator, ids.slice(0, EVENTS)),
  ];
  await browser.close();
  await remove(host, ids.slice(EVENTS));
  await stop(service);
  return {
    method: `Debian's Chromium on the same machine, with a warm cache: the time from the start of a navigation to the frame with the table of ${CONTAINERS} containers, against that of an empty page of the same server, by the page's own clock; ${LOADS} loads of each, in random order. Then the resident memory, and the processor time in ${COUNTED / 1000} s, that ${CONSOLES} open overviews add to the service. Then the number of frames from the delivery of a container's end by the stream until the table shows it; ${EVENTS} ends.`,
    rows,
  };
};
