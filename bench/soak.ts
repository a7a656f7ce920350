/**
 * Hosts many containers in one process, each from beginning to end, and checks that memory, descriptors and handles do
 * not grow: `soak.ts COUNT`. The exit code is 1 if something grows.
 */

import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { host as hostContainer, startValues, token } from '../test/support/callers.ts';
import { SECRET } from '../test/support/secrets.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import { TestHost } from '../test/support/test-host.ts';
import { World } from '../test/support/world.ts';
import { median } from './measure.ts';

const COUNT = Number(process.argv[2] ?? 10_000);
/** The number of concurrent containers. */
const AT_ONCE = 4;
/** The total number of samples. */
const LOOKS = Math.min(50, Math.floor(COUNT / 20));
/** The share of samples after which nothing may grow, because caches are full and code is compiled. */
const WARM = 0.3;
/** The tolerated growth between the medians of the first and last samples: some code is compiled late. */
const TOLERATED = { heap: 1_500_000, resident: 30_000_000, descriptors: 4, resources: 4 };
/** The number of samples for a median. */
const TOGETHER = Math.max(2, Math.floor(LOOKS / 6));

type Held = Record<keyof typeof TOLERATED, number>;

/** One container: it is set up, not used, and removed from outside. */
async function live(host: TestHost, service: ServiceProcess): Promise<void> {
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  const port = await host.hostPort(dockerId);
  await startValues(service, port);
  await token(service, port);
  await host.docker.getContainer(dockerId).remove({ force: true });
  await service.gone(id);
}

async function look(service: ServiceProcess): Promise<Held> {
  // Docker connections are closed some seconds after their last use.
  const descriptors = () => readdirSync(`/proc/${service.child.pid}/fd`).length;
  let least = descriptors();
  for (let i = 0; i < 20; i++) {
    await pause(100);
    least = Math.min(least, descriptors());
  }
  service.other.splice(0);
  service.child.kill('SIGURG');
  const line = await service.wroteLike(/^held /);
  return { ...JSON.parse(line.slice('held '.length)), descriptors: least };
}

function show(done: number, seconds: number, { heap, resident, descriptors, resources }: Held): void {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9);
  const fields = [done, `${seconds.toFixed(0)} s`, mb(heap), mb(resident), descriptors, resources];
  console.log(fields.map((field) => String(field).padStart(12)).join(''));
}

await using host = await TestHost.open();
// With all outside services: heartbeats, and the log to logz.io.
const world = await World.open();
const env = { ...world.settings, APP_ENV: 'localdev', WEBSERVER_AUTH_SECRET: SECRET, LOG_LEVEL: 'info' };
const service = await host.start({ entry: 'soaking-service.ts', env }).ready();
console.log(
  ['containers', 'time', 'heap', 'resident', 'descriptors', 'handles']
    .map((head) => head.padStart(12))
    .join(''),
);
const beginning = performance.now();
const looks: Held[] = [];
let begun = 0;
for (let number = 1; number <= LOOKS; number++) {
  const upTo = Math.round((COUNT * number) / LOOKS);
  const worker = async () => {
    while (begun < upTo) {
      begun += 1;
      await live(host, service);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const held = await look(service);
  looks.push(held);
  // Earlier log lines are not needed.
  service.lines.splice(0);
  world.logzIo.requests.splice(0);
  show(upTo, (performance.now() - beginning) / 1000, held);
}
process.exitCode = (await service.stop()) === 0 ? 0 : 1;
await world.close();
// Checks that nothing is left on the host.
await host.finish();

const warm = looks.slice(Math.floor(LOOKS * WARM));
for (const [name, tolerated] of Object.entries(TOLERATED) as [keyof Held, number][]) {
  const of = (some: readonly Held[]) => median(some.map((held) => held[name]));
  const growth = of(warm.slice(-TOGETHER)) - of(warm.slice(0, TOGETHER));
  if (growth <= tolerated) continue;
  console.log(`${name} has grown by ${growth}, which is more than ${tolerated}`);
  process.exitCode = 1;
}
console.log(process.exitCode === 0 ? `flat: ${COUNT} containers came and went` : 'not flat');
