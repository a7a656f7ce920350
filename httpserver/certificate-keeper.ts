/**
 * Keeps the server's certificate good for as long as the server runs: its own is renewed before it ends or
 * when the host's addresses change, an operator's files are read again when they change.
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
  /** The operator's own files; undefined: the service makes its own pair. */
  readonly files: { readonly cert: string; readonly key: string } | undefined;
  /** Directory for the pair that the service makes, which only root can read. */
  readonly directory: string;
  readonly log: Logger;
  /** Milliseconds that a pair of its own is valid: it is renewed when a third of them is left. */
  readonly validity?: number;
  /** Milliseconds between two looks. */
  readonly checkEvery?: number;
}

/** A pair, and a text that differs when another one is due. */
interface Kept {
  readonly pair: KeyPair;
  readonly version: string;
}

/** Where a certificate comes from. */
interface Source {
  load(): Promise<Kept>;
  /** Whether `kept` must be loaded anew. */
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

  /** Looks from time to time until the lifetime ends, and hands each new pair to `apply`. */
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
  const { directory, validity = VALIDITY } = options;
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
  return {
    async load() {
      const { makeCertificate } = await import('./self-signed-certificate.ts');
      const names = ownNames();
      const pair = await makeCertificate(names, new Date(Date.now() + validity));
      await writeFileAtomically(files.key, pair.key, 0o600);
      await writeFileAtomically(files.cert, pair.cert, 0o644);
      return { pair, version: names.join() };
    },
    async isStale({ pair, version }) {
      const left = new X509Certificate(pair.cert).validToDate.getTime() - Date.now();
      return left < validity / 3 || version !== ownNames().join();
    },
  };
}
