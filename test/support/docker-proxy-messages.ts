/** Random HTTP/1.1 messages, in all forms that a sender may use. */

import type { Socket } from 'node:net';
import { Chance } from './chance.ts';
import { turns } from './docker-proxy-peers.ts';

export class RandomMessages extends Chance {
  /** Mostly few bytes, and sometimes many. They include line ends and bytes that look like chunks. */
  data(): Buffer<ArrayBuffer> {
    const length = this.below(this.oneOf(1, 3, 40, 2000, 150_000));
    const words = ['\r\n', '0\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', '\n', 'a;b', '\0', 'x'.repeat(37)];
    let data = '';
    while (data.length < length) data += this.oneOf(...words).repeat(this.oneOf(1, 2, 500));
    return Buffer.from(data.slice(0, length), 'latin1');
  }

  /** The fields that define the body's length, and the body on the wire. */
  framed(data: Buffer<ArrayBuffer>): { readonly fields: string; readonly body: Buffer } {
    if (this.below(3) === 0) return { fields: `Content-Length: ${data.length}\r\n`, body: data };
    const parts: Buffer[] = [];
    for (let at = 0, size = 0; at < data.length; at += size) {
      size = Math.min(data.length - at, 1 + this.below(this.oneOf(1, 20, 100_000)));
      const digits = size.toString(16).padStart(this.oneOf(1, 4, 8), '0');
      const line = this.oneOf(digits, digits.toUpperCase()) + this.oneOf('', ';a', ';a="b c"');
      parts.push(Buffer.from(`${line}\r\n`), data.subarray(at, at + size), Buffer.from('\r\n'));
    }
    const end = `${this.oneOf('0', '000')}\r\n${this.oneOf('', 'X-End: yes\r\n')}\r\n`;
    const fields = `${this.oneOf('Transfer-Encoding', 'transfer-encoding')}: ${this.oneOf('chunked', 'Chunked')}\r\n`;
    return { fields, body: Buffer.concat([...parts, Buffer.from(end)]) };
  }

  /** Writes all bytes in pieces, some of which are sent separately, whether or not the receiver accepts them. */
  async write(socket: Socket, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + this.below(this.oneOf(3, 100, 200_000));
      // It is drawn even where it does not matter, which depends on timing.
      const isAlone = this.below(2) === 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      // It is also called after the other side has disconnected, when no 'drain' follows.
      const isTaken = socket.write(bytes.subarray(at, end), () => resolve());
      if (!isTaken) await promise;
      else if (isAlone) await turns(1);
      at = end;
    }
  }
}
