/**
 * Loads the files of the web console, which are built into one file. It is beside the bundle, or in `build/` for the
 * sources. It is read on the first request, so that a service whose console is not used does not load it.
 */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { ServiceError } from '../../errors/service-error.ts';

export interface ConsoleFile {
  readonly type: string;
  /** A tag that changes with the content. */
  readonly tag: string;
  /** Whether the name changes with the content. */
  readonly isNamedByContent: boolean;
  readonly zipped: Buffer;
}

/** The built form: files by name, with `zipped` in base64. */
export type BuiltFiles = Readonly<Record<string, Omit<ConsoleFile, 'zipped'> & { readonly zipped: string }>>;

const FILE = 'console-files.json';
const PLACES = [`./${FILE}`, `../../build/${FILE}`];

let read: ReadonlyMap<string, ConsoleFile> | undefined;

/** @throws {ServiceError} `session.not_built` when the console was not built */
export function consoleFiles(): ReadonlyMap<string, ConsoleFile> {
  read ??= load();
  return read;
}

function load(): ReadonlyMap<string, ConsoleFile> {
  const path = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((one) =>
    existsSync(one),
  );
  if (!path) throw new ServiceError('session.not_built', {});
  const built: BuiltFiles = JSON.parse(readFileSync(path, 'utf8'));
  return new Map(
    Object.entries(built).map(([name, file]) => [
      name,
      { ...file, zipped: Buffer.from(file.zipped, 'base64') },
    ]),
  );
}

/** For a client that does not accept gzip. */
export function unzipped({ zipped }: ConsoleFile): Buffer {
  return gunzipSync(zipped);
}
