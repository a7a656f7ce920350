/** Measures the time from the death of the service until it is reported and nothing unused is left. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeUnclaimed } from '../container/after-death/take-over.ts';
import { HostedDocker } from '../container/hosted-docker.ts';
import { readHostId } from '../host/host-id.ts';
import { pathsBelow } from '../host/paths.ts';
import { Ledger } from '../lifetime/ledger.ts';
import { createLogger } from '../logging/logger.ts';
import { SECRET } from '../test/support/secrets.ts';
import type { TestHost } from '../test/support/test-host.ts';
import type { World } from '../test/support/world.ts';
import { direct, makerAt, sameBody, withAnyPorts } from './containers.ts';
import { inRandomOrder, type Measure, median, ofPairs, row, timed } from './measure.ts';

const ROUNDS = 7;
/** The number of unassigned containers. */
const COUNT = 4;
/** The limit for the report, in milliseconds. */
const KNOWN = 2000;

const silent = createLogger({ level: 'silent', stream: { write: () => {} } });

/** Milliseconds to remove what a dead service left, and to remove as many containers by Docker alone. */
async function removals(host: TestHost): Promise<[number, number]> {
  const paths = pathsBelow(host.newRoot());
  const service = await host.start({ env: { ROOT: paths.root, LOG_LEVEL: 'info' } }).ready();
  const ids = await Promise.all(Array.from({ length: COUNT }, makerAt(paths.root)));
  const body = withAnyPorts(await sameBody(host.docker, ids[0] as string));
  await service.stop('SIGKILL');
  const others = await Promise.all(Array.from({ length: COUNT }, () => direct(host.docker, body)));
  const docker = await HostedDocker.open('/run/docker.sock');
  const hostId = await readHostId(paths.state);
  return await inRandomOrder(
    () =>
      timed(async () => {
        const ledger = new Ledger(paths.ledger);
        await removeUnclaimed({ docker, hostId, paths, ledger, log: silent }, ledger.open());
      }),
    () =>
      timed(() =>
        Promise.all(others.map((id) => host.docker.getContainer(id).remove({ force: true, v: true }))),
      ),
  );
}

/** Milliseconds from SIGKILL until the webserver is told, and until the clean-up is complete. */
async function burial(host: TestHost, world: World): Promise<{ told: number; buried: number }> {
  const root = host.newRoot();
  const env = { ...world.settings, APP_ENV: 'localdev', WEBSERVER_AUTH_SECRET: SECRET, ROOT: root };
  const service = await host.start({ env, launcher: [] }).ready();
  await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
  await Promise.all(Array.from({ length: COUNT }, makerAt(root)));
  const [pid] = readFileSync(join(root, 'run/ecs-host-service/lock'), 'utf8').split(' ');
  world.webserver.requests.splice(0);
  const ended = once(service.child, 'exit');
  execFileSync('kill', ['-KILL', pid as string]);
  const killed = Date.now();
  await ended;
  const buried = Date.now() - killed;
  const told = world.beats.find(({ fields }) => fields.IsDyingHeartbeat === 'True');
  if (!told) throw new Error('the webserver was not told');
  return { told: told.at - killed, buried };
}

export const measure: Measure = async (say) => {
  process.env.TEST_SERVICE = join(import.meta.dirname, '../build/bundle/ecs-host-service.mjs');
  const [{ TestHost }, { World }] = await Promise.all([
    import('../test/support/test-host.ts'),
    import('../test/support/world.ts'),
  ]);
  await using host = await TestHost.open();
  const pairs: [number, number][] = [];
  const tolds: number[] = [];
  const burieds: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}`);
    pairs.push(await removals(host));
    const world = await World.open();
    const { told, buried } = await burial(host, world);
    await world.close();
    tolds.push(told);
    burieds.push(buried);
  }
  const raw = median(pairs.map(([, theirs]) => theirs));
  const most = (values: readonly number[]) => Math.max(...values);
  return {
    method: `${COUNT} unassigned containers of a service that is killed with SIGKILL; ${ROUNDS} rounds, with the bundle under the launcher. In comparison, Docker alone removes as many of the same containers by force, all at once. The p95 is the largest value.`,
    rows: [
      ofPairs('removal of unassigned containers over forced removals', pairs, { median: 1.2 }),
      row(
        `time from death to the last heartbeat over ${KNOWN} ms`,
        median(tolds) / KNOWN,
        most(tolds) / KNOWN,
        {
          p95: 1,
        },
      ),
      row(
        'time from death until nothing unused is left, over forced removals',
        median(burieds) / raw,
        most(burieds) / raw,
        {},
      ),
    ],
  };
};
