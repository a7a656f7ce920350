/**
 * Cuts a stream of bytes into lines. Its sender decides how long a line is and in how many pieces it comes, so each byte
 * is looked at once, and no more of a line is kept than may be.
 */

const LF = 0x0a;

/**
 * @param most bytes of a line; one that is longer is left out
 * @returns the lines that end in each piece; what has no end is none
 */
export async function* linesIn(stream: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<string[]> {
  let begun: Uint8Array[] = [];
  let length = 0;
  const take = (bytes: Uint8Array) => {
    length += bytes.length;
    if (length > most) begun = [];
    else if (bytes.length > 0) begun.push(bytes);
  };
  for await (const chunk of stream) {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      take(chunk.subarray(from, at));
      if (length <= most) lines.push(Buffer.concat(begun).toString());
      begun = [];
      length = 0;
      from = at + 1;
    }
    take(chunk.subarray(from));
    yield lines;
  }
}
