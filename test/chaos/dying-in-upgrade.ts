/**
 * A service that really dies in an upgrade, before the step that the first argument names. Under the launcher, it is the
 * old and the new one in turn. Before it dies, it reports that on stderr.
 */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { runService } from '../../src/main.ts';
import type { UpgradeDeath } from '../support/upgrade-chaos.ts';

const death: UpgradeDeath = JSON.parse(process.argv[2] ?? '{}');

/** Only a service that takes a host over inherits descriptors. */
const who = process.env.LISTEN_FDS === undefined ? 'old' : 'new';

const WAYS: Readonly<Record<UpgradeDeath['way'], () => unknown>> = {
  SIGKILL: () => execFileSync('sh', ['-c', 'kill -KILL $PPID; sleep 60']),
  throw: () => {
    throw new Error(`${death.step} fails on purpose`);
  },
  stop: () => execFileSync('kill', ['-TERM', String(process.ppid)]),
  launcher: () => execFileSync('kill', ['-KILL', String(process.ppid)]),
  /** Waits until Docker was restarted. */
  Docker: async () => {
    const alive = setInterval(() => {}, 60_000);
    await once(process, 'SIGURG');
    clearInterval(alive);
  },
};

await runService(process.env, {
  step: async (name) => {
    if (who !== death.who || name !== death.step) return;
    process.stderr.write(`dying ${process.pid}\n`);
    await WAYS[death.way]();
  },
});
