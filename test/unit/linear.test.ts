/**
 * Parsers of external bytes take a limited time for each byte. One large input is parsed alternately with many small ones of
 * the same total length. A parser whose time grows with the square of its input takes 64 times as long for the large one, on
 * any machine and whatever else runs there.
 */

import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { parseMountCommand } from '../../container/creation/mount-command.ts';
import { eventsOf, healthIn } from '../../docker-engine/answers.ts';
import { referenceOf } from '../../docker-engine/image-reference.ts';
import { linesOf } from '../../docker-engine/log-lines.ts';
import { demultiplex } from '../../ecs-agent-bridge/agent/agent-docker.ts';
import { Lines, parseAgentLine } from '../../ecs-agent-bridge/agent/agent-log.ts';
import { BodyScanner } from '../../ecs-agent-bridge/docker-proxy/body-scanner.ts';
import { parseRequest, parseResponse } from '../../ecs-agent-bridge/docker-proxy/message-head.ts';
import { parseJsonObject } from '../../httpserver/json-body.ts';
import { whoKnows } from '../../httpserver/v1/authority.ts';
import { ByteReader } from '../../parsing/byte-reader.ts';
import { linesIn } from '../../parsing/lines.ts';
import { readEnvFile } from '../../src/operator/env-file.ts';
import { printable } from '../../src/operator/printable.ts';
import { Opener, Opening } from '../../user-configs/age-header.ts';
import { sourceOf } from '../support/docker-proxy-pieces.ts';

/** The ratio of the lengths, and the maximum ratio of the times of the large input and of as many small ones. */
const TIMES = 64;
const MOST = 8;
/** The fastest run counts: other work of the machine makes runs slower, never faster. */
const ROUNDS = 12;

const directory = mkdtempDisposableSync(join(tmpdir(), 'linear-'));
after(() => directory.remove());

type Work<T> = (input: T) => unknown;

/** @param size of the large input, in the unit of `make` */
async function growthOf<T>(size: number, make: (size: number) => T, work: Work<T>): Promise<number> {
  const [small, large] = [make(Math.floor(size / TIMES)), make(size)];
  let [ofSmall, ofLarge] = [Infinity, Infinity];
  const isClear = () => ofLarge < (MOST / 2) * ofSmall || ofLarge > 4 * MOST * ofSmall;
  for (let round = 0; round < 3 || (round < ROUNDS && !isClear()); round++) {
    ofLarge = Math.min(ofLarge, await timeOf(large, work, 1));
    ofSmall = Math.min(ofSmall, await timeOf(small, work, TIMES));
  }
  return ofLarge / ofSmall;
}

async function timeOf<T>(input: T, work: Work<T>, times: number): Promise<number> {
  const start = performance.now();
  for (let time = 0; time < times; time++) {
    try {
      const done = work(input);
      if (done instanceof Promise) await done;
    } catch {
      // A refusal takes time too.
    }
  }
  return performance.now() - start;
}

const HEAD = 64 * 1024;
const BODY = 64 * 1024;
const STREAM = 16 * 1024;

function head(field: (size: number) => string, first = 'GET / HTTP/1.1') {
  return (size: number) => Buffer.from(`${first}\r\n${field(size - first.length - 6)}\r\n\r\n`, 'latin1');
}

async function* bits(text: string | Buffer) {
  for (const byte of Buffer.from(text)) yield Uint8Array.of(byte);
}

async function drain(all: AsyncIterable<unknown>): Promise<void> {
  for await (const one of all) void one;
}

/** A frame of a container's output, as Docker sends it. */
function frame(content: string): Buffer {
  const start = Buffer.alloc(8);
  start[0] = 1;
  start.writeUInt32BE(content.length, 4);
  return Buffer.concat([start, Buffer.from(content)]);
}

const authority = whoKnows(() => 'x'.repeat(32));
const opener = new Opener(Buffer.alloc(32, 7));

function parser<T>(name: string, size: number, make: (size: number) => T, work: Work<T>): void {
  test(`a byte of a large input costs no more than one of a small input: ${name}`, async () => {
    const growth = await growthOf(size, make, work);
    assert.ok(growth < MOST, `${TIMES} times the input took ${(TIMES * growth).toFixed(0)} times as long`);
  });
}

/** The worst input of a parser with repetition: a beginning, many repetitions, and an end that matches nothing. */
function repeated(part: string, begin = '', end = '') {
  return (size: number) =>
    `${begin}${part.repeat(Math.max(1, Math.floor((size - begin.length) / part.length)))}${end}`;
}

suite('parsers of external bytes', () => {
  for (const [name, field, size = HEAD] of [
    ['blanks within a value', repeated(' ', 'X: a', 'a'), 16 * 1024],
    ['blanks before an empty value', repeated(' ', 'X:', '\n'), 1024],
    ['blanks in a list of options', repeated(' ', 'Connection: a', 'a')],
    ['many options', repeated(', ', 'Connection: a')],
    ['a name without a value', repeated('x')],
    ['many fields', repeated('X: y\r\n', '', 'Z: y')],
  ] as const) {
    parser(`the head of a request to Docker: ${name}`, size, head(field), parseRequest);
    const ofAnswer = head(field, 'HTTP/1.1 200 OK');
    parser(`the head of an answer of Docker: ${name}`, size, ofAnswer, (bytes) =>
      parseResponse(bytes, 'GET'),
    );
  }
  parser(
    'the head of a request to Docker: a target of escapes',
    HEAD,
    (size) => Buffer.from(`GET ${repeated('%41', '/')(size)} HTTP/1.1\r\n\r\n`),
    parseRequest,
  );
  parser(
    'the head of a message that arrives byte by byte',
    HEAD - 8,
    (size) => Array.from(head(repeated('x', 'X: '))(size).toString('latin1')),
    (pieces) => sourceOf(pieces).head(),
  );
  parser('the body of a message: chunks of a byte', STREAM, repeated('1\r\nx\r\n'), (text) =>
    new BodyScanner('chunked').take(Buffer.from(text)),
  );
  parser('the body of a message: the size of a chunk', 4096, repeated(' ', '1', 'x\r\n'), (text) =>
    new BodyScanner('chunked').take(Buffer.from(text)),
  );

  parser('a body of JSON: nested lists', BODY, repeated('[', '{"a":'), (text) =>
    parseJsonObject(Buffer.from(text)),
  );
  parser('a body of JSON: many fields', BODY, repeated('"a":1.5,', '{', '"b":1}'), (text) =>
    parseJsonObject(Buffer.from(text)),
  );
  parser("an operator's credentials", 16 * 1024, repeated(' ', 'Bearer', '\n'), (text) =>
    authority(text, 'here'),
  );

  parser('mounts on a command line: many words', 4 * BODY, repeated('-v /a:/b '), parseMountCommand);
  parser(
    'mounts on a command line: many fields',
    BODY,
    repeated('type=bind,', '--mount '),
    parseMountCommand,
  );
  for (const part of ['a', 'a-', 'a.', 'a/', '_', '-', 'a:', '[:']) {
    parser(`the name of an image: ${part}`, 500, repeated(part, '', '!'), referenceOf);
  }

  parser('the words of a log line of the ECS agent', 8192, repeated('a', 'level=info '), parseAgentLine);
  parser(
    'the quotes of a log line of the ECS agent',
    8192,
    repeated('a="\\"', 'level=info '),
    parseAgentLine,
  );
  parser('the log of the ECS agent that comes byte by byte', STREAM, repeated('x'), (text) => {
    const lines = new Lines(() => {});
    for (const byte of Buffer.from(text)) lines.push(Uint8Array.of(byte));
  });
  parser('the log of the ECS agent: one frame that comes byte by byte', STREAM, repeated('x'), (text) =>
    demultiplex(bits(frame(text)), () => {}),
  );

  parser('a log of a container that comes byte by byte', STREAM, repeated('x'), (text) =>
    drain(linesOf(bits(frame(text)), false)),
  );
  parser("a terminal's log that comes byte by byte", STREAM, repeated('x'), (text) =>
    drain(linesOf(bits(text), true)),
  );
  parser('many bytes that come one by one', STREAM, repeated('x'), (text) =>
    new ByteReader(bits(text)).take(text.length),
  );
  parser('lines that come byte by byte', STREAM, repeated('x'), (text) =>
    drain(linesIn(bits(text), text.length)),
  );
  parser("Docker's events: one that comes byte by byte", STREAM, repeated('x'), (text) =>
    drain(eventsOf(bits(text))),
  );
  parser("Docker's words on the health of a container", 4096, repeated('(health: '), healthIn);

  parser('the header of a user config: arguments', HEAD, ofAge(repeated(' a', '->', '\n')), (bytes) =>
    opener.fileKey(bytes),
  );
  parser('the header of a user config: stanzas', HEAD, ofAge(repeated('-> a\n\n')), (bytes) =>
    opener.fileKey(bytes),
  );
  parser(
    'the header of a user config: a body',
    HEAD,
    ofAge(repeated(`${'A'.repeat(64)}\n`, '-> a\n', '\n')),
    (bytes) => opener.fileKey(bytes),
  );
  parser('the header of a user config that comes byte by byte', HEAD, repeated('x', 'x\n---'), (text) => {
    const opening = new Opening();
    for (const byte of Buffer.from(text)) opening.add(Buffer.of(byte));
  });

  for (const [name, text] of [
    ['blanks', repeated(' ', '', '=')],
    ['lines', repeated('A=1\n')],
    ['carriage returns', repeated('\r', 'A=')],
  ] as const) {
    let files = 0;
    const written = (size: number) => {
      const file = join(directory.path, `${name}-${files++}`);
      writeFileSync(file, text(size));
      return file;
    };
    parser(`a file of environment variables: ${name}`, 256 * 1024, written, (file) => readEnvFile(file, {}));
  }
  parser('words of others on the command line', STREAM, repeated(' ', 'a', 'a'), printable);
});

function ofAge(stanzas: (size: number) => string) {
  return (size: number) =>
    Buffer.from(`age-encryption.org/v1\n${stanzas(size - 80)}--- ${'A'.repeat(43)}\n`, 'latin1');
}
