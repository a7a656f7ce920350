/** Whether this host can give its containers input devices of their own. */

import { access } from 'node:fs/promises';

/** @returns undefined when it can, else why it cannot and what to do */
export async function whyNoInputDevices(): Promise<string | undefined> {
  try {
    await access('/dev/uinput');
  } catch {
    return 'there is no /dev/uinput; run "modprobe uinput"';
  }
  return 'this version cannot make them yet';
}
