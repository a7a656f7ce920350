/** Whether this host can create input devices for containers. */

import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { isSystemError, messageOf } from '../errors/service-error.ts';
import { addon } from './addon.ts';
import { RECORDS, UINPUT } from './input-device.ts';

/** @returns undefined if it can; otherwise the reason, and what to do */
export async function whyNoInputDevices(): Promise<string | undefined> {
  try {
    const uinput = await open(UINPUT, constants.O_WRONLY | constants.O_NONBLOCK);
    await uinput.close();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return `there is no ${UINPUT}; run "modprobe uinput"`;
    return `${UINPUT} cannot be opened (${messageOf(error)}); check that this kernel has uinput: "modprobe uinput"`;
  }
  try {
    await access(RECORDS);
  } catch {
    return `there is no ${RECORDS}; check that udev runs: "systemctl status systemd-udevd"`;
  }
  try {
    addon();
  } catch (error) {
    return `the native addon cannot be loaded: ${messageOf(error)}`;
  }
  return undefined;
}
