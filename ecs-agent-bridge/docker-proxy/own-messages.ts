/** Builds the proxy's own messages: refusals in the form of Docker's errors, and changed requests. */

import { STATUS_CODES } from 'node:http';
import { minorVersionOf, type RequestHead } from './message-head.ts';

/** The first minor version of the API with errors in JSON. Source: Docker's own answers. */
const JSON_ERRORS = 24;

/** Whether errors are plain text in the request's version of the API. @param target of a request */
export function takesPlainErrors(target: string): boolean {
  return (minorVersionOf(target) ?? JSON_ERRORS) < JSON_ERRORS;
}

/**
 * The connection is closed after it, so the rest of the request is not read.
 * @param target of the request; empty if it could not be parsed
 */
export function refusal(status: number, message: string, target: string): Buffer {
  const isPlain = takesPlainErrors(target);
  const body = `${isPlain ? message : JSON.stringify({ message })}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${isPlain ? 'text/plain; charset=utf-8' : 'application/json'}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Fields of a head that describe the old body. */
const OF_THE_BODY = /^(content-length|transfer-encoding|expect|trailer):/i;

/** A request with another target, and otherwise byte for byte the same. */
export function retargeted(request: RequestHead, target: string): RequestHead {
  if (target === request.target) return request;
  const text = request.bytes.toString('latin1');
  const rest = text.slice(text.indexOf('\r\n') - ' HTTP/1.1'.length);
  return { ...request, target, bytes: Buffer.from(`${request.method} ${target}${rest}`, 'latin1') };
}

/** A request with another target and body, and otherwise the same. */
export function rewritten({ bytes, method }: RequestHead, target: string, body: Buffer): Buffer {
  const [, ...lines] = bytes.toString('latin1').slice(0, -4).split('\r\n');
  const head = [
    `${method} ${target} HTTP/1.1`,
    ...lines.filter((line) => !OF_THE_BODY.test(line)),
    ...(method === 'GET' ? [] : [`Content-Length: ${body.length}`]),
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}
