/** Reads a client's body as Docker would. */

import { isUtf8 } from 'node:buffer';
import type { Rule } from '../../container/creation/accepted-fields.ts';
import { fold, type Read, readJson } from '../../docker-engine/docker-json.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { ReadBody } from './connection.ts';

/** The maximum size in bytes of a body that is read. */
export const LONGEST_BODY = 16 * 1024 * 1024;

/** @returns undefined if it is not JSON, which Docker refuses @throws {ServiceError} `create.bad_body` */
export function readBody({ data }: ReadBody): Read | undefined {
  try {
    return readJson(data.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Returns the body in Docker's own spelling. @throws {ServiceError} `create.bad_body` if it is ambiguous */
export function foldBody({ tree, isAlone }: Read, { data }: ReadBody, rule: Rule): unknown {
  if (!isUtf8(data)) throw new ServiceError('create.bad_body', { why: 'it is not in UTF-8' });
  if (!isAlone) throw new ServiceError('create.bad_body', { why: 'more follows the JSON' });
  return fold(tree, rule);
}
