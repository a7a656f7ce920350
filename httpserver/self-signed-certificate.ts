/**
 * Makes self-signed certificates: ECDSA P-256, for loopback and the host's own addresses. The service makes one at each
 * start before it listens, so this builds the structure of RFC 5280 from the types of ASN.1 alone. A library with
 * classes for all parts of a certificate loads six times more slowly and takes three times the memory.
 */

import { generateKeyPair, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import {
  BitString,
  Boolean as Bool,
  Constructed,
  fromBER,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
  Set as SetOf,
  UTCTime,
  Utf8String,
} from 'asn1js';
import ipaddr from 'ipaddr.js';

/** A certificate and its key, both in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const COMMON_NAME = '2.5.4.3';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
/** Of a certificate with extensions. */
const VERSION_3 = 2;
/** The tags of the two kinds of names. */
const [DNS_NAME, IP_ADDRESS] = [2, 7];
/** The first year whose times are written with four digits. */
const FOUR_DIGITS = 2050;
/** In milliseconds. A client whose clock is behind by less than this still accepts the certificate. */
const CLOCK_SKEW = 60 * 60_000;

type Value = Sequence['valueBlock']['value'][number];

const generate = promisify(generateKeyPair);

/** @param names the IP addresses and host names of the certificate */
export async function makeCertificate(names: readonly string[], notAfter: Date): Promise<KeyPair> {
  const { publicKey, privateKey } = await generate('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const algorithm = sequence(identifier(ECDSA_WITH_SHA256));
  const subject = nameOf('ecs-host-service');
  const toBeSigned = sequence(
    tagged(0, new Integer({ value: VERSION_3 })),
    new Integer({ valueHex: serialNumber() }),
    algorithm,
    subject,
    sequence(time(new Date(Date.now() - CLOCK_SKEW)), time(notAfter)),
    subject,
    fromBER(publicKey).result,
    tagged(3, extensionsFor(names)),
  );
  const signature = sign('sha256', Buffer.from(toBeSigned.toBER()), privateKey);
  const certificate = sequence(toBeSigned, algorithm, new BitString({ valueHex: signature }));
  const cert = new X509Certificate(Buffer.from(certificate.toBER())).toString();
  return { cert, key: privateKey };
}

function sequence(...value: Value[]): Sequence {
  return new Sequence({ value });
}

function identifier(value: string): ObjectIdentifier {
  return new ObjectIdentifier({ value });
}

function tagged(tagNumber: number, value: Value): Constructed {
  return new Constructed({ idBlock: { tagClass: 3, tagNumber }, value: [value] });
}

function time(date: Date): Value {
  const valueDate = new Date(date);
  valueDate.setMilliseconds(0);
  return date.getUTCFullYear() < FOUR_DIGITS
    ? new UTCTime({ valueDate })
    : new GeneralizedTime({ valueDate });
}

function nameOf(value: string): Sequence {
  const attribute = sequence(identifier(COMMON_NAME), new Utf8String({ value }));
  return sequence(new SetOf({ value: [attribute] }));
}

/** Positive, and with no more bytes than RFC 5280 allows. */
function serialNumber(): Buffer {
  const number = randomBytes(16);
  number[0] = ((number[0] as number) & 0x7f) | 0x40;
  return number;
}

function extensionsFor(names: readonly string[]): Sequence {
  // Of the nine bits for uses of the key, only the first is set, because the key signs only handshakes.
  const digitalSignature = new BitString({ valueHex: Uint8Array.of(0x80), unusedBits: 7 });
  return sequence(
    extension(BASIC_CONSTRAINTS, sequence(), new Bool({ value: true })),
    extension(KEY_USAGE, digitalSignature, new Bool({ value: true })),
    extension(EXTENDED_KEY_USAGE, sequence(identifier(SERVER_AUTHENTICATION))),
    extension(SUBJECT_ALTERNATIVE_NAME, sequence(...names.map(alternativeOf))),
  );
}

function alternativeOf(name: string): Primitive {
  const [tagNumber, valueHex] = isIP(name)
    ? [IP_ADDRESS, Uint8Array.from(ipaddr.parse(name).toByteArray())]
    : [DNS_NAME, Buffer.from(name)];
  return new Primitive({ idBlock: { tagClass: 3, tagNumber }, valueHex });
}

function extension(id: string, value: Value, ...critical: Bool[]): Sequence {
  return sequence(identifier(id), ...critical, new OctetString({ valueHex: value.toBER() }));
}
