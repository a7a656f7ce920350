/**
 * Reads a requested number of bytes from a stream, however they are split into chunks. It reads from the stream only on
 * demand.
 */

export class ByteReader implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = Buffer.alloc(0);
  /** Chunks that are not concatenated yet. Concatenating at each chunk would take quadratic time. */
  #later: Uint8Array[] = [];
  #laterLength = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** @returns `count` bytes, or fewer at the end of the stream only */
  async peek(count: number): Promise<Buffer> {
    while (this.#length < count && (await this.#readMore()));
    this.#join();
    return this.#rest.subarray(0, count);
  }

  /** Like `peek`, but consumes the bytes. */
  async take(count: number): Promise<Buffer> {
    const taken = await this.peek(count);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /**
   * Takes the bytes up to and including the next `last`, but at most `most`.
   * @returns no bytes at the end of the stream
   */
  async takeThrough(last: number, most: number): Promise<Buffer> {
    this.#join();
    let found = this.#rest.subarray(0, most).indexOf(last);
    while (found < 0 && this.#length < most && (await this.#readMore())) {
      const at = (this.#later.at(-1) as Uint8Array).indexOf(last);
      if (at >= 0) found = this.#length - (this.#later.at(-1) as Uint8Array).length + at;
    }
    return await this.take(Math.min(most, found < 0 ? this.#length : found + 1));
  }

  get #length(): number {
    return this.#rest.length + this.#laterLength;
  }

  #join(): void {
    if (this.#later.length === 0) return;
    this.#rest = Buffer.concat([this.#rest, ...this.#later]);
    this.#later = [];
    this.#laterLength = 0;
  }

  async #readMore(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (done) return false;
    this.#later.push(value);
    this.#laterLength += value.length;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}
