/** A host for hosted containers with a Docker whose answers can be held back. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import pLimit from 'p-limit';
import { DiskQuotas } from '../../container/disk-quotas.ts';
import { Events } from '../../container/events.ts';
import { Gpus } from '../../container/gpus.ts';
import { KeptContainers } from '../../container/kept-containers.ts';
import type { Placed } from '../../container/network/apart.ts';
import { HostPorts } from '../../container/network/host-ports.ts';
import { Shortage } from '../../container/pool/shortage.ts';
import { Receipts } from '../../container/receipts.ts';
import { Tracker } from '../../container/tracker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { pathsBelow } from '../../host/paths.ts';
import { Descriptors } from '../../lifetime/descriptors.ts';
import { Ledger } from '../../lifetime/ledger.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { observeHoldings } from '../../src/observe.ts';
import { Terminals } from '../../ttys/terminals.ts';
import { Ttys } from '../../ttys/ttys.ts';
import { FakeDocker } from './fake-docker.ts';

export const REQUEST = { appName: 'a', appImage: 'a', mounts: [], protocolTimeout: 0 };
const silent = { write: () => {} };

/** @param before the host whose directories and containers this one takes over */
export function hostOf(t: TestContext, before?: { readonly root: string; readonly docker: FakeDocker }) {
  const root = before?.root ?? mkdtempSync(join(tmpdir(), 'container-host-'));
  mkdirSync(join(root, 'fractal/temp'), { recursive: true });
  const docker = before?.docker ?? new FakeDocker();
  const log = createLogger({ level: 'error', stream: silent });
  const [ledger, receipts] = [new Ledger(join(root, 'ledger')), new Receipts(root, log)];
  const lifetime = new Lifetime('test', observeHoldings(log, {}, ledger, receipts, { holding: () => {} }));
  const surroundings = {
    hostId: 'host',
    paths: pathsBelow(root),
    docker: docker.asDocker,
    ledger,
    ports: new HostPorts([32_262, 32_263, 32_273, 32_274, 32_275], async () => true),
    ttys: new Ttys([10, 11], async () => true),
    gpus: new Gpus([], 1, 'nvidia'),
    allowed: new Map(),
    eventNumbers: undefined,
    keeping: undefined,
    limitPreparations: pLimit(4),
    seccompProfile: undefined,
    limits: {
      pids: undefined,
      memory: undefined,
      canLimitSwap: true,
      log: undefined,
      logDriver: 'json-file',
    },
    receipts,
    events: new Events(),
    shortage: new Shortage(),
    descriptors: new Descriptors(),
    cgroupDriver: 'cgroupfs',
    quotas: new DiskQuotas({ directories: [], amount: undefined, docker: docker.asDocker, log }),
    apart: {
      start: async (one: Placed, run: (id: DockerId) => Promise<unknown>) => void (await run(one.dockerId)),
      adopt: async () => {},
    },
    terminals: new Terminals({ all: 0, each: 0, idle: 0, hostUser: undefined }, log),
    log,
  };
  const kept = new KeptContainers(docker.asDocker, 'host', lifetime);
  const tracker = new Tracker(surroundings, lifetime);
  t.after(async () => {
    docker.before = () => {};
    await lifetime.end();
    await lifetime.holdings.retry();
    assert.deepEqual(lifetime.holdings.list(), [], 'something is still held');
    rmSync(root, { recursive: true, force: true });
  });
  return { root, docker, lifetime, kept, tracker };
}

/** Holds back the first answer to `call`: `reached` resolves when the call arrives, and `go` releases the answer. */
export function holdBack(docker: FakeDocker, call: string) {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  docker.before = async (asked) => {
    if (asked !== call) return;
    docker.before = () => {};
    reached.resolve();
    await go.promise;
  };
  return { reached: reached.promise, go: go.resolve };
}
