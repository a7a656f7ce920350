/**
 * Finds how Docker can give GPUs to containers: by nvidia's runtime, or by CDI, the Container Device Interface. Docker
 * needs longer for this answer than the service needs for everything else before a creation, so it is cached.
 */

import { isRecord } from '../parsing/json.ts';
import type { Info } from './answers.ts';

export interface GpuSupport {
  /** Whether there is nvidia's runtime. */
  readonly runtime: boolean;
  /** The UUIDs of nvidia's GPUs that CDI describes. */
  readonly cdi: readonly string[];
}

/** Milliseconds for which an answer is cached. */
const REMEMBERED = 60_000;

export class GpuFinder {
  readonly #info: () => Promise<Info>;
  #found: GpuSupport = { runtime: false, cdi: [] };
  #until = 0;

  /** @param info Docker's description of itself */
  constructor(info: () => Promise<Info>) {
    this.#info = info;
  }

  async find(): Promise<GpuSupport> {
    if (performance.now() > this.#until) {
      this.#found = supportIn(await this.#info());
      this.#until = performance.now() + REMEMBERED;
    }
    return this.#found;
  }
}

function supportIn({ Runtimes, DiscoveredDevices }: Info): GpuSupport {
  const names = (DiscoveredDevices ?? []).flatMap(({ Source, ID }) => (Source === 'cdi' ? [ID] : []));
  const cdi = names.flatMap((name) => /^nvidia\.com\/gpu=(GPU(?:-[0-9a-f]+)+)$/.exec(name)?.[1] ?? []);
  return { runtime: isRecord(Runtimes) && 'nvidia' in Runtimes, cdi };
}
