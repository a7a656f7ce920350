/**
 * Splits a stream of bytes into lines. The sender chooses the length of a line and the size of the chunks, so this
 * looks at each byte once and keeps a limited part of a line.
 */

const LF = 0x0a;

export interface LineOptions {
  /** Maximum number of bytes of a line that are kept. */
  readonly most: number;
  /** Whether a longer line is cut and marked with `…`; otherwise it is dropped. */
  readonly cuts?: boolean;
}

export class LineSplitter {
  readonly #options: LineOptions;
  #begun: Uint8Array[] = [];
  #length = 0;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** @returns the lines that end in this chunk */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#take(chunk.subarray(from, at));
      lines.push(...this.end());
      from = at + 1;
    }
    // The caller may reuse the memory of the chunk.
    this.#take(Buffer.from(chunk.subarray(from)));
    return lines;
  }

  /** @returns the last line if it has no line feed; none if there is nothing or if the line was dropped */
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
 * @param most maximum number of bytes of a line; longer lines are dropped
 * @returns the lines that end in each chunk; an unfinished last line is dropped
 */
export async function* linesIn(stream: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<string[]> {
  const splitter = new LineSplitter({ most });
  for await (const chunk of stream) yield splitter.push(chunk);
}
