/** Finds out whether containers get input devices. */

import { ServiceError } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';
import { whyNoInputDevices } from '../uinput-native/input-devices.ts';

/** @throws {ServiceError} `start.no_input_devices` where they are required */
export async function checkInputDevices(
  { INTERACTIVE: interactive, INPUT_DEVICES: wanted }: Settings,
  log: Logger,
): Promise<boolean> {
  if (interactive === 'off') return false;
  const why = await whyNoInputDevices();
  if (why === undefined) return true;
  if (wanted === 'required') throw new ServiceError('start.no_input_devices', { why });
  log.warn({ why }, 'containers get no input devices');
  return false;
}
