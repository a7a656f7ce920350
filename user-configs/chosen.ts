/**
 * Proves that an operator chose the current save, and not somebody who can only write to the bucket. `configs restore`
 * signs its choice with a key derived from the webserver's secret, which all hosts of an environment have.
 */

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Current } from './current.ts';

const INFO = 'ecs-host-service user config restore v1';

/** @param prefix the prefix of all objects of the user and app */
export function proofOf(secret: string, prefix: string, current: Current): string {
  const { version, changes = null, session, sequence, generation = null } = current;
  const key = Buffer.from(hkdfSync('sha256', secret, '', INFO, 32));
  const text = JSON.stringify([prefix, version, changes, session, sequence, generation]);
  return createHmac('sha256', key).update(text).digest('base64');
}

export function isChosen(secret: string, prefix: string, current: Current): boolean {
  const [given, right] = [Buffer.from(current.chosen ?? ''), Buffer.from(proofOf(secret, prefix, current))];
  return given.length === right.length && timingSafeEqual(given, right);
}
