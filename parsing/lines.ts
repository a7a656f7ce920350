/**
 * Cuts a stream of bytes into lines. Its sender decides how long a line is and in how many pieces it comes, so each byte
 * is looked at once, and no more of a line is kept than may be.
 */

const LF = 0x0a;

export interface LineOptions {
  /** Bytes of a line that are kept. */
  readonly most: number;
  /** Whether the beginning of a longer line is kept, with `…` behind it; otherwise it is left out. */
  readonly cuts?: boolean;
}

export class LineSplitter {
  readonly #options: LineOptions;
  #begun: Uint8Array[] = [];
  #length = 0;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** @returns the lines that end in this piece */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#take(chunk.subarray(from, at));
      lines.push(...this.end());
      from = at + 1;
    }
    // Whoever reads may use the same memory again.
    this.#take(Buffer.from(chunk.subarray(from)));
    return lines;
  }

  /** @returns what there is of a last line that has no end; none where there is nothing, or where it is left out */
  end(): string[] {
    const { most, cuts = false } = this.#options;
    const [begun, isLonger] = [this.#begun, this.#length > most];
    this.#begun = [];
    this.#length = 0;
    if (isLonger && !cuts) return [];
    return [`${Buffer.concat(begun).toString()}${isLonger ? '…' : ''}`];
  }

  #take(bytes: Uint8Array): void {
    const room = Math.max(0, this.#options.most - this.#length);
    this.#length += bytes.length;
    if (this.#length > this.#options.most && !this.#options.cuts) this.#begun = [];
    else if (room > 0 && bytes.length > 0) this.#begun.push(bytes.subarray(0, room));
  }
}

/**
 * @param most bytes of a line; one that is longer is left out
 * @returns the lines that end in each piece; what has no end is none
 */
export async function* linesIn(stream: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<string[]> {
  const splitter = new LineSplitter({ most });
  for await (const chunk of stream) yield splitter.push(chunk);
}
