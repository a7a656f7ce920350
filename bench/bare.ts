/** The files that the baseline server needs before it starts. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../httpserver/self-signed-certificate.ts';

/** Writes a certificate and its key into `directory`. */
export async function writePair(directory: string): Promise<void> {
  const pair = await makeCertificate(['127.0.0.1'], new Date(Date.now() + 86_400_000));
  writeFileSync(join(directory, 'cert.pem'), pair.cert);
  writeFileSync(join(directory, 'key.pem'), pair.key);
}
