/**
 * Keeps some numbers of the last hour in memory, so that the web console can draw them without a metrics server. A
 * sample is taken every 30 seconds, and the number of samples is limited. What has ended, and what could not be
 * released, is counted since the start of the service.
 */

import { statfs } from 'node:fs/promises';
import { readMemory } from '../../host/memory.ts';
import { type ProcessorTime, readProcessorTime } from '../../host/processor.ts';
import type { History as Given } from '../../httpserver/v1/history-schemas.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';

type Sample = Given['samples'][number];

/** The state of the service at this moment. */
export interface Sources {
  readonly containers: () => number;
  /** undefined if user configs are not kept. */
  readonly spool: () => { readonly files: number; readonly bytes: number } | undefined;
  readonly predecessorDied: () => boolean;
}

/** The state of the host at this moment; sizes in bytes. */
export interface HostUse {
  readonly processor: ProcessorTime;
  readonly memory: { readonly size: number; readonly used: number };
  readonly disk: { readonly size: number; readonly used: number };
}

/** Seconds between samples, and the number of samples in an hour. */
const EVERY = 30;
const MOST = 3600 / EVERY;
const KIB = 1024;

export class History {
  readonly #sources: Sources;
  readonly #ended = new Map<string, number>();
  #samples: Sample[] = [];
  #sizes = { memory: 0, disk: 0 };
  #processor: ProcessorTime | undefined;
  #notReleased = 0;
  #ends = 0;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Takes samples until the lifetime ends. @param look says what the host uses at this moment */
  begin(lifetime: Lifetime, look: () => Promise<HostUse>): void {
    const take = () => void lifetime.track('sampling the use of the host', this.#take(look));
    take();
    const timer = setInterval(take, EVERY * 1000).unref();
    lifetime.signal.addEventListener('abort', () => clearInterval(timer));
  }

  /** @param code why a container ends */
  ending(code: string): void {
    this.#ends += 1;
    this.#ended.set(code, (this.#ended.get(code) ?? 0) + 1);
  }

  notReleased(): void {
    this.#notReleased += 1;
  }

  get view(): Given {
    return {
      every: EVERY,
      samples: this.#samples,
      sizes: this.#sizes,
      ended: Object.fromEntries(this.#ended),
      notReleased: this.#notReleased,
      predecessorDied: this.#sources.predecessorDied(),
    };
  }

  async #take(look: () => Promise<HostUse>): Promise<void> {
    const { processor, memory, disk } = await look();
    const waiting = this.#sources.spool();
    const sample = {
      at: new Date().toISOString(),
      containers: this.#sources.containers(),
      processor: busyShare(this.#processor, processor),
      memory: memory.used,
      disk: disk.used,
      ends: this.#ends,
      ...(waiting && { waiting }),
    };
    this.#processor = processor;
    this.#ends = 0;
    this.#sizes = { memory: memory.size, disk: disk.size };
    this.#samples = [...this.#samples, sample].slice(-MOST);
  }
}

function busyShare(before: ProcessorTime | undefined, now: ProcessorTime): number {
  const total = now.total - (before?.total ?? 0);
  return total > 0 ? Math.round((1000 * (now.busy - (before?.busy ?? 0))) / total) / 1000 : 0;
}

/** @param directory whose filesystem counts */
export async function useOfHost(directory: string): Promise<HostUse> {
  const [processor, { total, available }, { blocks, bavail, bsize }] = await Promise.all([
    readProcessorTime(),
    readMemory(),
    statfs(directory),
  ]);
  return {
    processor,
    memory: { size: total * KIB, used: (total - available) * KIB },
    disk: { size: blocks * bsize, used: (blocks - bavail) * bsize },
  };
}
