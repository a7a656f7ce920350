/**
 * Measures how much is saved between a Spot notice and the moment when EC2 reclaims the host, compared with how much
 * the uplink could deliver.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startValues, token } from '../test/support/callers.ts';
import { Metadata } from '../test/support/metadata.ts';
import { OWN_SECRET, S3_KEY_ID, S3_SECRET } from '../test/support/secrets.ts';
import type { ServiceProcess } from '../test/support/service-process.ts';
import type { TestHost } from '../test/support/test-host.ts';
import { makerAt } from './containers.ts';
import { type Measure, row } from './measure.ts';
import type { Stored } from './s3-server.ts';

const CONTAINERS = 54;
/** Bytes of each user's files, which cannot be compressed. */
const EACH = 100_000_000;
/**
 * Milliseconds between the notice and the reclaim. Every save must be complete SPARE milliseconds before the reclaim.
 */
const NOTICE = 120_000;
const SPARE = 10_000;
/** Bytes per second: a rate that is enough for all saves, and one that is not. */
const [ENOUGH, TOO_LITTLE] = [80_000_000, 40_000_000];

class SlowS3 implements Disposable {
  readonly stored: Stored[] = [];
  readonly #child: ChildProcess;
  #url = '';

  static async open(rate: number): Promise<SlowS3> {
    const s3 = new SlowS3(fork(join(import.meta.dirname, 's3-server.ts'), [String(rate)]));
    const [{ url }] = await once(s3.#child, 'message');
    s3.#url = url;
    s3.#child.on('message', (one) => s3.stored.push(one as Stored));
    return s3;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  get settings(): Record<string, string> {
    return {
      USER_CONFIG_BUCKET: 'bench',
      AWS_ENDPOINT_URL_S3: this.#url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: S3_KEY_ID,
      AWS_SECRET_ACCESS_KEY: S3_SECRET,
    };
  }

  [Symbol.dispose](): void {
    this.#child.disconnect();
  }
}

async function fill(host: TestHost, service: ServiceProcess, root: string): Promise<void> {
  const make = makerAt(root);
  const work = randomBytes(EACH);
  for (let user = 1; user <= CONTAINERS; user++) {
    const dockerId = await make();
    const port = await host.hostPort(dockerId);
    const user_id = `${user}@example.com`;
    for (const { status, body } of [
      await startValues(service, port, { auth_secret: OWN_SECRET, user_id }),
      await token(service, port, { user_id }),
    ])
      if (status !== 200) throw new Error(body);
    const id = await host.containerIdOf(dockerId);
    writeFileSync(join(root, 'fractal', id, 'userConfigs/unpacked_configs/work'), work);
  }
}

interface Taken {
  /** The saves that were complete in time. */
  readonly stored: readonly Stored[];
  /** Milliseconds that were available after the service had read the notice. */
  readonly time: number;
}

async function take(host: TestHost, rate: number): Promise<Taken> {
  const { World } = await import('../test/support/world.ts');
  const world = await World.open({ metadata: false });
  const metadata = await Metadata.open();
  using s3 = await SlowS3.open(rate);
  const root = mkdtempSync('/var/tmp/ecs-host-service-bench-');
  try {
    const env = { ...world.settings, ...s3.settings, USER_CONFIG_CHECKPOINT_SECONDS: '3600', ROOT: root };
    const service = await host.start({ env }).ready();
    await fill(host, service, root);
    if (s3.stored.length > 0) throw new Error('it saved before there was a notice');
    const { at } = metadata.takeAfter(NOTICE);
    await service.ended();
    await host.abandon(service);
    const read = service.lines.find(({ code }) => code === 'notice');
    const end = at - SPARE;
    return { stored: s3.stored.filter((one) => one.at <= end), time: end - Date.parse(String(read?.time)) };
  } finally {
    await metadata.recorder.close();
    await world.close();
    await host.finish();
    rmSync(root, { recursive: true, force: true });
  }
}

export const measure: Measure = async (say) => {
  process.env.TEST_SERVICE = join(import.meta.dirname, '../build/bundle/ecs-host-service.mjs');
  const { TestHost } = await import('../test/support/test-host.ts');
  await using host = await TestHost.open();
  say('the uplink can bring all: about three minutes');
  const users = (await take(host, ENOUGH)).stored.map(({ key }) =>
    key.slice(0, key.lastIndexOf('/versions/')),
  );
  say('the uplink cannot bring all: about three minutes');
  const { stored, time } = await take(host, TOO_LITTLE);
  const brought = stored.reduce((sum, { bytes }) => sum + bytes, 0);
  const possible = (TOO_LITTLE * time) / 1000;
  const all = CONTAINERS / new Set(users).size;
  return {
    method: `${CONTAINERS} containers, each with ${EACH / 1e6} MB of files that were never saved; EC2 reclaims the host after ${NOTICE / 1000} s. A save counts if it is complete ${SPARE / 1000} s before that. The time is measured from the moment when the service has read the notice. The uplink to the simulated S3 carries ${ENOUGH / 1e6} MB per second in the first row, and ${TOO_LITTLE / 1e6} in the second, which is not enough for all saves.`,
    rows: [
      row('users over saved users, with a sufficient uplink', all, all, { median: 1 }),
      row(
        'bytes that the uplink can carry over saved bytes, with an insufficient uplink',
        possible / brought,
        possible / brought,
        {
          median: 1.111,
        },
      ),
    ],
  };
};
