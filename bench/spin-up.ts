/**
 * Measures what this service adds to Docker when a container is spun up: alone, and when the host is filled at once.
 */

import type { ServiceProcess } from '../test/support/service-process.ts';
import { TestHost } from '../test/support/test-host.ts';
import { agent, direct, makerAt, remove, sameBody, withAnyPorts } from './containers.ts';
import { inRandomOrder, type Measure, ofPairs, timed } from './measure.ts';

const PAIRS = 100;
const ROUNDS = 5;
const FULL = 54;
export const measure: Measure = async (say) => {
  await using host = await TestHost.open();
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, LOG_LEVEL: 'info' } }).ready();
  const make = makerAt(root);
  const first = await make();
  const body = await sameBody(host.docker, first);
  await remove(host, [first], service);

  /** Milliseconds for `count` containers that are created at once. */
  const taken = async (count: number, makeOne: () => Promise<string>, owner?: ServiceProcess) => {
    let ids: string[] = [];
    const milliseconds = await timed(async () => {
      ids = await Promise.all(Array.from({ length: count }, makeOne));
    });
    await remove(host, ids, owner);
    return milliseconds;
  };
  const alone: [number, number][] = [];
  for (let pair = 1; pair <= PAIRS; pair++) {
    say(`one container: pair ${pair} of ${PAIRS}`);
    alone.push(
      await inRandomOrder(
        () => taken(1, make, service),
        () => taken(1, () => direct(host.docker, body)),
      ),
    );
  }

  const anyPorts = withAnyPorts(body);
  const full: [number, number][] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    say(`${FULL} at once: round ${round} of ${ROUNDS}`);
    full.push(
      await inRandomOrder(
        () => taken(FULL, make, service),
        () => taken(FULL, () => direct(host.docker, anyPorts)),
      ),
    );
  }
  await service.stop();
  agent.destroy();
  return {
    method: `The service's call compared with create and start of the same body at the Docker Engine's socket, in random order, with the same removal in between; ${PAIRS} pairs of one container, and ${ROUNDS} rounds of ${FULL} at once.`,
    rows: [
      ofPairs('POST /v1/containers over create + start', alone, { median: 1.05, p95: 1.1 }),
      ofPairs(`${FULL} × POST /v1/containers at once over ${FULL} × create + start`, full, {
        median: 1.05,
      }),
    ],
  };
};
