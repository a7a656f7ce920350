/**
 * Makes self-signed certificates: ECDSA P-256, for loopback and the host's own addresses. The service makes one at each
 * start before it listens. A library for certificates would take longer to load than the rest of the server, so this
 * writes the few structures of RFC 5280 itself, in DER (X.690).
 */

import { generateKeyPair, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { ipv4, ipv6 } from '../parsing/ip-bytes.ts';

/** A certificate and its key, both in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Tags. `FIELD` plus a number is a field that is known by its number. */
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const FIELD = 0x80;
const FIELD_OF_FIELDS = 0xa0;

/** Object identifiers in DER, without their tag. */
const COMMON_NAME = '550403';
const ECDSA_WITH_SHA256 = '2a8648ce3d040302';
const SERVER_AUTH = '2b06010505070301';
const KEY_USAGE = '551d0f';
const ALTERNATIVE_NAMES = '551d11';
const BASIC_CONSTRAINTS = '551d13';
const EXTENDED_KEY_USAGE = '551d25';

/** Of the values of GeneralName. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/** In milliseconds. A client whose clock is behind by less than this still accepts the certificate. */
const CLOCK_SKEW = 60 * 60_000;
/** The last year in two digits. */
const LAST_OF_UTC_TIME = 2049;

const generate = promisify(generateKeyPair);

/** @param names the IP addresses and host names of the certificate */
export async function makeCertificate(names: readonly string[], notAfter: Date): Promise<KeyPair> {
  const { publicKey, privateKey } = await generate('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const subject = nameOf('ecs-host-service');
  const algorithm = der(SEQUENCE, id(ECDSA_WITH_SHA256));
  const content = der(
    SEQUENCE,
    // Version 3.
    der(FIELD_OF_FIELDS, der(INTEGER, [2])),
    der(INTEGER, serialNumber()),
    algorithm,
    subject,
    der(SEQUENCE, time(new Date(Date.now() - CLOCK_SKEW)), time(notAfter)),
    subject,
    publicKey,
    der(FIELD_OF_FIELDS + 3, extensionsFor(names)),
  );
  const signature = der(BIT_STRING, [0], sign('sha256', content, privateKey));
  const cert = new X509Certificate(der(SEQUENCE, content, algorithm, signature)).toString();
  return { cert, key: privateKey };
}

function der(tag: number, ...parts: readonly (Uint8Array | readonly number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const { length } = content;
  const sized =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...sized), content]);
}

function id(hex: string): Buffer {
  return der(OBJECT_ID, Buffer.from(hex, 'hex'));
}

function nameOf(value: string): Buffer {
  const attribute = der(SEQUENCE, id(COMMON_NAME), der(UTF8_STRING, Buffer.from(value)));
  return der(SEQUENCE, der(SET, attribute));
}

function time(moment: Date): Buffer {
  const digits = `${moment.toISOString().replaceAll(/[-:T]|\..*/g, '')}Z`;
  const isShort = moment.getUTCFullYear() <= LAST_OF_UTC_TIME;
  return der(isShort ? UTC_TIME : GENERALIZED_TIME, Buffer.from(isShort ? digits.slice(2) : digits));
}

/** Positive, and with no more bytes than RFC 5280 allows. */
function serialNumber(): Buffer {
  const number = randomBytes(16);
  number[0] = ((number[0] as number) & 0x7f) | 0x40;
  return number;
}

function extensionsFor(names: readonly string[]): Buffer {
  return der(
    SEQUENCE,
    extension(BASIC_CONSTRAINTS, der(SEQUENCE), true),
    // Digital signature: the first of eight bits, of which seven are unused.
    extension(KEY_USAGE, der(BIT_STRING, [7, 0x80]), true),
    extension(EXTENDED_KEY_USAGE, der(SEQUENCE, id(SERVER_AUTH))),
    extension(ALTERNATIVE_NAMES, der(SEQUENCE, ...names.map(alternativeName))),
  );
}

function extension(kind: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der(BOOLEAN, [0xff])] : [];
  return der(SEQUENCE, id(kind), ...critical, der(OCTET_STRING, value));
}

function alternativeName(name: string): Buffer {
  const version = isIP(name);
  if (version === 0) return der(FIELD + DNS_NAME, Buffer.from(name));
  return der(FIELD + IP_ADDRESS, version === 4 ? ipv4(name) : ipv6(name));
}
