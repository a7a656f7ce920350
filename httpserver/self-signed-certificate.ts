/**
 * Makes self-signed certificates: ECDSA P-256, for loopback and the host's own addresses. The service makes one at each
 * start before it listens, so this uses no more than the structures of RFC 5280, which load three times faster than a
 * whole library for certificates.
 */

import { generateKeyPair, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

/** A certificate and its key, both in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const COMMON_NAME = '2.5.4.3';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
/** In milliseconds. A client whose clock is behind by less than this still accepts the certificate. */
const CLOCK_SKEW = 60 * 60_000;

const generate = promisify(generateKeyPair);

/** @param names the IP addresses and host names of the certificate */
export async function makeCertificate(names: readonly string[], notAfter: Date): Promise<KeyPair> {
  const { publicKey, privateKey } = await generate('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const subject = nameOf('ecs-host-service');
  const signature = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature,
    issuer: subject,
    subject,
    validity: new Validity({ notBefore: new Date(Date.now() - CLOCK_SKEW), notAfter }),
    subjectPublicKeyInfo: AsnConvert.parse(publicKey, SubjectPublicKeyInfo),
    extensions: extensionsFor(names),
  });
  const signed = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), privateKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: signature,
    signatureValue: bytes(signed),
  });
  const cert = new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString();
  return { cert, key: privateKey };
}

function nameOf(value: string): Name {
  const attribute = new AttributeTypeAndValue({
    type: COMMON_NAME,
    value: new AttributeValue({ utf8String: value }),
  });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

/** Positive, and with no more bytes than RFC 5280 allows. */
function serialNumber(): ArrayBuffer {
  const number = randomBytes(16);
  number[0] = ((number[0] as number) & 0x7f) | 0x40;
  return bytes(number);
}

function extensionsFor(names: readonly string[]): Extensions {
  const alternatives = names.map(
    (name) => new GeneralName(isIP(name) ? { iPAddress: name } : { dNSName: name }),
  );
  return new Extensions([
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, new SubjectAlternativeName(alternatives)),
  ]);
}

function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** Copies the bytes, because a small Buffer shares its memory with others. */
function bytes(buffer: Buffer): ArrayBuffer {
  return Uint8Array.from(buffer).buffer;
}
