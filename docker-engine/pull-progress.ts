/**
 * How far a pull is, by the lines that Docker says of it. What stands in them comes from a registry in part: it is bounded,
 * and a line that makes no sense says nothing.
 */

import { isRecord } from '../parsing/json.ts';

export interface Layer {
  /** The first digits of its digest. */
  readonly id: string;
  /** In Docker's words. */
  readonly status: string;
  /** Bytes that are downloaded or, later, unpacked; left out where Docker does not say it. */
  readonly current?: number;
  readonly total?: number;
}

export interface PullState {
  readonly layers: readonly Layer[];
  /** Those of all layers: downloaded, and to be downloaded as far as that is known. */
  readonly bytes: { readonly current: number; readonly total: number };
}

/** Docker takes images of 125 layers at most. */
const MOST_LAYERS = 200;
/** Characters. */
const LONGEST_STATUS = 200;
/** What Docker says of a layer once all of it is here. */
const DOWNLOADED = /^(Verifying|Download complete|Extracting|Pull complete)/;

export class PullProgress {
  readonly #layers = new Map<string, Layer>();
  readonly #bytes = new Map<string, PullState['bytes']>();
  #digest: string | undefined;

  /** Of the image's manifest; undefined until Docker has all of the image. */
  get digest(): string | undefined {
    return this.#digest;
  }

  get state(): PullState {
    const all = [...this.#bytes.values()];
    const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
    const bytes = { current: sum(all.map((one) => one.current)), total: sum(all.map((one) => one.total)) };
    return { layers: [...this.#layers.values()], bytes };
  }

  /** @throws an error as if Docker had refused the pull, when it says that it failed */
  take(line: string): void {
    const told = recordIn(line);
    const { id, status, errorDetail, progressDetail } = told;
    const error = isRecord(errorDetail) ? errorDetail.message : told.error;
    if (told.error !== undefined || errorDetail !== undefined) throw failureOf(String(error));
    if (typeof status !== 'string') return;
    this.#digest = /^Digest: (sha256:[0-9a-f]{64})$/.exec(status)?.[1] ?? this.#digest;
    // A tag may look like the id of a layer.
    if (typeof id !== 'string' || !/^[0-9a-f]{12}$/.test(id) || status.startsWith('Pulling from ')) return;
    if (this.#layers.size < MOST_LAYERS || this.#layers.has(id)) this.#note(id, status, progressDetail);
  }

  #note(id: string, status: string, detail: unknown): void {
    const { current, total } = isRecord(detail) ? detail : {};
    const counted = { ...countOf('current', current), ...countOf('total', total) };
    this.#layers.set(id, { id, status: status.slice(0, LONGEST_STATUS), ...counted });
    const known = this.#bytes.get(id) ?? { current: 0, total: 0 };
    if (status === 'Downloading') this.#bytes.set(id, { ...known, ...counted });
    else if (DOWNLOADED.test(status)) this.#bytes.set(id, { current: known.total, total: known.total });
  }
}

function recordIn(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function countOf(name: 'current' | 'total', value: unknown): { [Name in typeof name]?: number } {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? { [name]: value as number } : {};
}

/** It has begun its answer with 200 by then. */
function failureOf(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 500, json: { message } });
}
