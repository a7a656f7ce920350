/** Bytes of a stream as they are asked for, however they came. It takes the next ones from the stream only then. */

export class ByteReader implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** @returns fewer than `count` at the end of the stream alone */
  async peek(count: number): Promise<Buffer> {
    while (this.#rest.length < count && (await this.#readMore()));
    return this.#rest.subarray(0, count);
  }

  /** As `peek`; they are not given again. */
  async take(count: number): Promise<Buffer> {
    const taken = await this.peek(count);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /** Those up to the next `last`, and that too, but no more than `most`. @returns none at the end of the stream */
  async takeThrough(last: number, most: number): Promise<Buffer> {
    for (let seen = 0; ; ) {
      const found = this.#rest.subarray(0, most).indexOf(last, seen);
      if (found >= 0) return await this.take(found + 1);
      seen = this.#rest.length;
      if (seen >= most || !(await this.#readMore())) return await this.take(Math.min(seen, most));
    }
  }

  async #readMore(): Promise<boolean> {
    const { value, done } = await this.#chunks.next();
    if (!done) this.#rest = Buffer.concat([this.#rest, value]);
    return !done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}
