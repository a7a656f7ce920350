import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { FAULTS, type Fault } from '../support/recorder.ts';
import { OWN_SECRET } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';

let host: TestHost;
let metadata: World;
before(async () => {
  host = await TestHost.open();
  metadata = await World.open();
});
after(async () => {
  await metadata.close();
  await host.finish();
  await host[Symbol.asyncDispose]();
});

/**
 * The time limits, in milliseconds, of the report of a crash (2 s), of the last deliveries (5 s), and of a whole shutdown. They
 * are wide, because several services share a slow machine here. Without limits, a shutdown would last for minutes, or forever.
 */
const REPORT = 8000;
const LAST = 20_000;
const END = 45_000;

let port = 4700;

/** A service with a container, in use or not, that runs although the outside world fails. */
async function hostIn(world: World, inUse = true): Promise<ServiceProcess> {
  port += 1;
  const env = { ...world.settings, APP_ENV: 'localdev', LISTEN_PORT: String(port) };
  const service = await host.start({ env, entry: 'dying-service.ts', arguments: ['throw'] }).ready();
  const hostPort = await host.hostPort(await hostContainer(service));
  const secret = { auth_secret: OWN_SECRET };
  if (inUse) {
    assert.equal((await startValues(service, hostPort, secret)).status, 200);
    assert.equal((await token(service, hostPort)).status, 200);
  }
  assert.equal((await service.get('/healthz')).status, 200);
  return service;
}

/** Ends the service with all of its resources. */
async function ends(service: ServiceProcess, signal: NodeJS.Signals, code: number): Promise<void> {
  const from = Date.now();
  assert.equal(await service.stop(signal), code, service.log());
  assert.ok(Date.now() - from < END);
  assert.ok(service.lines.some(({ msg }) => msg === 'container is gone'));
  const at = (words: string) => Date.parse(String(service.lines.find(({ msg }) => msg === words)?.time));
  assert.ok(at('ending') - from < REPORT, 'nothing waits for the outside world');
  assert.ok(Date.now() - at('ended') < LAST, 'the end does not wait either');
  const after = service.lines.slice(service.lines.findIndex(({ msg }) => msg === 'ended'));
  assert.ok(after.length < 10, 'failed reports do not cause endless reports');
}

async function withWorld(use: (world: World) => Promise<void>): Promise<void> {
  const world = await World.open({ metadata: false });
  try {
    await use(world);
  } finally {
    await world.close();
  }
}

function describe(fault: Fault): string {
  return /^(\d|garbage)/.test(fault) ? `answers ${fault}` : fault === 'silent' ? 'is silent' : fault;
}

suite('failures of the outside world', { concurrency: 3 }, () => {
  for (const fault of FAULTS) {
    const what = describe(fault);
    test(`if the outside world ${what} from the start, containers are hosted, and the service stops gracefully`, async () => {
      await withWorld(async (world) => {
        await world.turn(fault);
        await ends(await hostIn(world), 'SIGTERM', 0);
      });
    });

    test(`if the outside world ${what} from some moment on, the service stops gracefully`, async () => {
      await withWorld(async (world) => {
        const service = await hostIn(world);
        await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
        await world.turn(fault);
        await ends(service, 'SIGTERM', 0);
      });
    });

    test(`if the outside world ${what} when the service crashes, the cleanup completes`, async () => {
      await withWorld(async (world) => {
        const service = await hostIn(world, false);
        await world.webserver.request(({ path }) => path.endsWith('/heartbeat'));
        await world.turn(fault);
        await ends(service, 'SIGURG', 1);
      });
    });
  }
});
