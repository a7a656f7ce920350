/** Measures how fast saved archives are uploaded to S3. Concurrent uploads count together. */

/** The minimum size in bytes of an archive that is measured. For a smaller one, latency dominates. */
const TELLING = 2 ** 20;
/** The weight of the newest measurement. */
const WEIGHT = 0.3;

export class UploadRate {
  readonly #clock: () => number;
  #underWay = 0;
  #perSecond: number | undefined;

  /** @param clock milliseconds of a monotonic clock */
  constructor(clock = () => performance.now()) {
    this.#clock = clock;
  }

  /** Bytes per second; undefined until one upload has been measured. */
  get perSecond(): number | undefined {
    return this.#perSecond;
  }

  /** @param bytes returns the number of uploaded bytes; called when the upload is done */
  async of<T>(bytes: () => number, bring: () => Promise<T>): Promise<T> {
    const before = ++this.#underWay;
    const beginning = this.#clock();
    try {
      const brought = await bring();
      this.#note(bytes(), this.#clock() - beginning, (before + this.#underWay) / 2);
      return brought;
    } finally {
      this.#underWay -= 1;
    }
  }

  #note(bytes: number, milliseconds: number, together: number): void {
    if (bytes < TELLING) return;
    const rate = (together * 1000 * bytes) / Math.max(milliseconds, 1);
    const old = this.#perSecond ?? rate;
    this.#perSecond = old + WEIGHT * (rate - old);
  }
}
