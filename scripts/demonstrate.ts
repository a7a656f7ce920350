/**
 * The common part of all demos. It runs the service in localdev with a root directory of its own, and always ends it
 * without leaving anything. The exit code says whether the demo went as expected.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceProcess } from '../test/support/service-process.ts';
import { say } from './say.ts';

/**
 * @param show runs the demo with a started service
 * @returns whether it went as expected
 * @param env settings of the service
 */
export async function demonstrate(
  show: (service: ServiceProcess, root: string) => Promise<boolean>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'ecs-host-service-demo-'));
  const service = new ServiceProcess(root, { env, patience: 120_000 });
  // Ctrl-C also reaches the service, which then ends on its own, so the demo stops.
  let stopped = false;
  process.on('SIGINT', () => {
    stopped = true;
    say('stopping …');
  });
  try {
    process.exitCode = (await show(service, root)) ? 0 : 1;
  } catch (error) {
    const fatal = service.lines.find(({ level }) => level === 'fatal');
    if (!stopped) console.error(fatal?.msg ?? error);
    process.exitCode = stopped ? 130 : 1;
  } finally {
    await service.stop();
    await rm(root, { recursive: true });
  }
}
