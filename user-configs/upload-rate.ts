/** How fast saved archives come to S3, by those that came lately: all that are on their way together. */

/** Bytes from which an archive tells of the rate: of a smaller one, most of the time is the answer's. */
const TELLING = 2 ** 20;
/** How much the newest one counts. */
const WEIGHT = 0.3;

export class UploadRate {
  readonly #clock: () => number;
  #underWay = 0;
  #perSecond: number | undefined;

  /** @param clock milliseconds of one that is never set */
  constructor(clock = () => performance.now()) {
    this.#clock = clock;
  }

  /** Bytes; undefined until one has told. */
  get perSecond(): number | undefined {
    return this.#perSecond;
  }

  /** @param bytes of what was brought, asked when that is done */
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
