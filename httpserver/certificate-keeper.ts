/**
 * Keeps the server's certificate valid. The service renews its own certificate before it expires or when the host's
 * addresses change. It reads an operator's files again when they change.
 */

import { X509Certificate } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { ownNames } from '../host/addresses.ts';
import { writeFileAtomically } from '../host/atomic-file.ts';
import { seenGone } from '../host/directories.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { KeyPair } from './self-signed-certificate.ts';

/** Milliseconds: 90 days. */
const VALIDITY = 90 * 24 * 60 * 60_000;

export interface KeeperOptions {
  /** The operator's own files; undefined: the service makes its own certificate. */
  readonly files: { readonly cert: string; readonly key: string } | undefined;
  /** The directory for the service's own certificate and key; only root can read it. */
  readonly directory: string;
  /** Whether the previous service left its own certificate for this one. */
  readonly isLeft?: boolean;
  readonly log: Logger;
  /** The validity of the service's own certificate in milliseconds. It is renewed when a third of it is left. */
  readonly validity?: number;
  /** Milliseconds between checks. */
  readonly checkEvery?: number;
}

/** A certificate with its key, and a text that changes when it must be replaced. */
interface Kept {
  readonly pair: KeyPair;
  readonly version: string;
}

/** A source of certificates. */
interface Source {
  load(): Promise<Kept>;
  /** Whether `kept` must be replaced. */
  isStale(kept: Kept): Promise<boolean>;
}

export class CertificateKeeper {
  readonly #source: Source;
  readonly #options: KeeperOptions;
  #kept: Kept;
  #checking = false;

  private constructor(source: Source, options: KeeperOptions, kept: Kept) {
    this.#source = source;
    this.#options = options;
    this.#kept = kept;
  }

  /** @throws {ServiceError} `start.certificate` */
  static async open(lifetime: Lifetime, options: KeeperOptions): Promise<CertificateKeeper> {
    const source = options.files ? filesOf(options.files) : await ownPair(lifetime, options);
    try {
      return new CertificateKeeper(source, options, await source.load());
    } catch (error) {
      throw new ServiceError('start.certificate', { why: messageOf(error) }, { cause: error });
    }
  }

  get pair(): KeyPair {
    return this.#kept.pair;
  }

  /** Checks regularly until the lifetime ends, and passes each new certificate to `apply`. */
  keep(lifetime: Lifetime, apply: (pair: KeyPair) => void): void {
    const timer = setInterval(() => {
      if (this.#checking) return;
      this.#checking = true;
      void lifetime.track('the certificate', this.#check(apply));
    }, this.#options.checkEvery ?? 60_000);
    lifetime.signal.addEventListener('abort', () => clearInterval(timer));
  }

  async #check(apply: (pair: KeyPair) => void): Promise<void> {
    const { log } = this.#options;
    try {
      if (!(await this.#source.isStale(this.#kept))) return;
      const loaded = await this.#source.load();
      apply(loaded.pair);
      this.#kept = loaded;
      log.info({ until: new X509Certificate(this.pair.cert).validTo }, 'serving a new certificate');
    } catch (error) {
      log.error({ error }, 'could not renew the certificate; still serving the old one');
    } finally {
      this.#checking = false;
    }
  }
}

function filesOf({ cert, key }: { cert: string; key: string }): Source {
  const version = async () => {
    const [certificate, secret] = await Promise.all([stat(cert), stat(key)]);
    return `${certificate.mtimeMs} ${secret.mtimeMs}`;
  };
  return {
    async load() {
      const found = await version();
      const pair = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
      createSecureContext(pair);
      return { pair, version: found };
    },
    isStale: async (kept) => (await version()) !== kept.version,
  };
}

async function ownPair(lifetime: Lifetime, options: KeeperOptions): Promise<Source> {
  const { directory, validity = VALIDITY, isLeft } = options;
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  for (const path of Object.values(files)) {
    await lifetime.acquire({
      kind: 'file',
      what: path,
      take: () => {},
      release: () => rm(path, { force: true }),
      seenGone: () => seenGone(path),
    });
  }
  const isStale: Source['isStale'] = async ({ pair, version }) => {
    const left = new X509Certificate(pair.cert).validToDate.getTime() - Date.now();
    return left < validity / 3 || version !== ownNames().join();
  };
  let left = isLeft ? await readLeft(files).catch(() => undefined) : undefined;
  return {
    async load() {
      const kept = left;
      left = undefined;
      if (kept && !(await isStale(kept))) return kept;
      const { makeCertificate } = await import('./self-signed-certificate.ts');
      const names = ownNames();
      const pair = await makeCertificate(names, new Date(Date.now() + validity));
      await writeFileAtomically(files.key, pair.key, 0o600);
      await writeFileAtomically(files.cert, pair.cert, 0o644);
      return { pair, version: names.join() };
    },
    isStale,
  };
}

/** @throws Error when the files are not a certificate of this service and its key */
async function readLeft(files: { readonly cert: string; readonly key: string }): Promise<Kept> {
  const pair = { cert: await readFile(files.cert, 'utf8'), key: await readFile(files.key, 'utf8') };
  createSecureContext(pair);
  const { subjectAltName = '' } = new X509Certificate(pair.cert);
  // Node writes each as "DNS:name" or "IP Address:name".
  const names = subjectAltName.split(', ').map((name) => name.slice(name.indexOf(':') + 1));
  return { pair, version: names.join() };
}
