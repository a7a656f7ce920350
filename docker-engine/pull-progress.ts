/**
 * The progress of a pull, according to Docker's messages. They partly contain text from a registry, so their size is
 * limited and malformed lines are ignored.
 */

import { isRecord } from '../parsing/json.ts';

export interface Layer {
  /** The first digits of the layer's digest. */
  readonly id: string;
  /** Docker's own text. */
  readonly status: string;
  /** The number of downloaded or, later, unpacked bytes; missing if Docker does not report it. */
  readonly current?: number;
  readonly total?: number;
}

export interface PullState {
  readonly layers: readonly Layer[];
  /** The total for all layers: downloaded bytes, and bytes to download as far as they are known. */
  readonly bytes: { readonly current: number; readonly total: number };
}

/** More than the maximum of Docker, which accepts 125 layers. */
const MOST_LAYERS = 200;
/** In characters. */
const LONGEST_STATUS = 200;
/** Docker's statuses of a layer that has been downloaded completely. */
const DOWNLOADED = /^(Verifying|Download complete|Extracting|Pull complete)/;

export class PullProgress {
  readonly #layers = new Map<string, Layer>();
  readonly #bytes = new Map<string, PullState['bytes']>();
  #digest: string | undefined;

  /** The digest of the image's manifest; undefined until Docker has the complete image. */
  get digest(): string | undefined {
    return this.#digest;
  }

  get state(): PullState {
    const all = [...this.#bytes.values()];
    const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
    const bytes = { current: sum(all.map((one) => one.current)), total: sum(all.map((one) => one.total)) };
    return { layers: [...this.#layers.values()], bytes };
  }

  /** @throws an error like Docker's refusal of a pull, if the message reports a failure */
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

/** At this point, Docker has already sent status 200. */
function failureOf(message: string): Error {
  return Object.assign(new Error(message), { statusCode: 500, json: { message } });
}
