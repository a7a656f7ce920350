/** Which save the user's next session starts with, and which save may replace it. */

import { DamagedError } from './damaged.ts';

/** One save of one session. */
export interface Save {
  readonly session: string;
  /** Increases with each save of the session. */
  readonly sequence: number;
}

/** The save that the next session starts with. */
export interface Current extends Save {
  /** The names of the object with all files, and of the object with the changes relative to it. */
  readonly version: string;
  readonly changes?: string;
  /**
   * Increases with each session whose save becomes current, and with each choice of an operator; missing in older
   * entries.
   */
  readonly generation?: number;
  /** A signature that proves an operator's choice. */
  readonly chosen?: string;
}

/** The name of the object that was stored with a save. */
export function nameOf({ version, changes }: Pick<Current, 'version' | 'changes'>): string {
  return changes ?? version;
}

/** Whether the object is stored aside and never becomes current. */
export function isAside(name: string): boolean {
  return name.startsWith('aside/');
}

const NOT_OURS = 'current.json is not what this service writes';
const OBJECT = /^(versions|aside)\/[\w.+-]+\.age$/;

export function isSame(a: Save, b: Save): boolean {
  return a.session === b.session && a.sequence === b.sequence;
}

/** Whether a save may replace the current one. @param basis the save that the save's session started with */
export function mayFollow(
  { session, sequence }: Save,
  basis: Save | undefined,
  current: Save | undefined,
): boolean {
  if (!current) return true;
  if (current.session === session) return current.sequence <= sequence;
  return basis !== undefined && isSame(basis, current);
}

/** @throws {DamagedError} when this service did not write it */
export function parseCurrent(text: string): Current {
  const { version, changes, session, sequence, generation, chosen } = parse(text);
  const isSound =
    isObjectName(version) &&
    (changes === undefined || isObjectName(changes)) &&
    typeof session === 'string' &&
    Number.isSafeInteger(sequence) &&
    (generation === undefined || (Number.isSafeInteger(generation) && generation > 0)) &&
    (chosen === undefined || typeof chosen === 'string');
  if (!isSound) throw new DamagedError(NOT_OURS);
  return {
    version,
    session,
    sequence,
    ...(changes && { changes }),
    ...(generation && { generation }),
    ...(chosen && { chosen }),
  };
}

function parse(text: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text) ?? {};
  } catch (error) {
    throw new DamagedError(NOT_OURS, { cause: error });
  }
}

function isObjectName(name: unknown): name is string {
  return typeof name === 'string' && OBJECT.test(name);
}
