/** The key of the spec hashes. It is created once, only root can read it, and it survives reboots. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isSystemError, ServiceError } from '../../errors/service-error.ts';
import { writeFileAtomically } from '../../host/atomic-file.ts';

const BYTES = 32;
const HEX = /^[0-9a-f]{64}$/;

/** @throws {ServiceError} `start.filesystem` if the file does not hold a key; `host.filesystem` */
export async function readSpecKey(path: string): Promise<Uint8Array> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (HEX.test(text)) return Buffer.from(text, 'hex');
    const why = 'it is not a key; remove it to get a new key, which causes each node to be replaced once';
    throw new ServiceError('start.filesystem', { path, why });
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  const key = randomBytes(BYTES);
  await writeFileAtomically(path, `${key.toString('hex')}\n`, 0o600);
  return key;
}
