/**
 * The state in which the guest is restarted: the service, enabled, with a container in use. after-restart.test.ts checks the
 * result.
 */

import { execFileSync } from 'node:child_process';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { GuestHost } from './guest-host.ts';
import { writeSettings } from './unit-service.ts';

export async function leaveBehind(): Promise<void> {
  const host = await GuestHost.open();
  const service = await host.start();
  const port = await host.hostPort(await hostContainer(service));
  await startValues(service, port);
  await token(service, port);
  execFileSync('systemctl', ['enable', '--quiet', 'ecs-host-service']);
  // Nothing plays the outside world when it starts by itself.
  writeSettings({
    APP_ENV: 'localdev',
    INPUT_DEVICES: 'required',
    LOG_LEVEL: 'debug',
    AWS_EC2_METADATA_DISABLED: 'true',
  });
}
