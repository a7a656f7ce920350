/**
 * What every demo does around its own story: the service runs in localdev on a root of its own, ends whatever happens,
 * and leaves nothing; the exit code says whether the story went as it should.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceProcess } from '../test/support/service-process.ts';
import { say } from './say.ts';

/**
 * @param show tells the story of a service that was just started; @returns whether it went as it should
 * @param env settings of the service
 */
export async function demonstrate(
  show: (service: ServiceProcess, root: string) => Promise<boolean>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'ecs-host-service-demo-'));
  const service = new ServiceProcess(root, { env, patience: 120_000 });
  // Ctrl-C reaches the service too, which ends by itself; then there is nothing more to show.
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
