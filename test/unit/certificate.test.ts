import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { connect, createServer } from 'node:tls';
import { CertificateKeeper, type KeeperOptions } from '../../httpserver/certificate-keeper.ts';
import { type KeyPair, makeCertificate } from '../../httpserver/self-signed-certificate.ts';
import { withDeadline } from '../../lifetime/deadline.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger, type Logger } from '../../logging/logger.ts';

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

function inAnHour(): Date {
  return new Date(Date.now() + HOUR);
}

/** The same time without milliseconds, which a certificate does not have. */
function inSeconds(moment: number): number {
  return Math.floor(moment / 1000) * 1000;
}

function validUntil({ cert }: KeyPair): number {
  return new X509Certificate(cert).validToDate.getTime();
}

/** Connects to 127.0.0.1 as a client that trusts only `pair.cert`. @returns the negotiated protocol */
async function handshake(pair: KeyPair): Promise<string | null> {
  const server = createServer(pair, (socket) => socket.end()).listen({ host: '127.0.0.1', port: 0 });
  server.on('tlsClientError', () => {});
  await once(server, 'listening');
  try {
    const address = server.address();
    assert.ok(address && typeof address === 'object');
    const client = connect({ host: '127.0.0.1', port: address.port, ca: pair.cert });
    await once(client, 'secureConnect');
    assert.equal(client.authorized, true);
    const protocol = client.getProtocol();
    client.resume();
    await once(client, 'close');
    return protocol;
  } finally {
    await once(server.close(), 'close');
  }
}

suite('a certificate that the service makes', () => {
  test('has its own P-256 key', async () => {
    const { cert, key } = await makeCertificate(['localhost'], inAnHour());
    const certificate = new X509Certificate(cert);
    assert.equal(certificate.publicKey.asymmetricKeyType, 'ec');
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.equal(certificate.checkPrivateKey(createPrivateKey(key)), true);
    assert.equal(certificate.verify(certificate.publicKey), true);
  });

  test('has a key that no other one has', async () => {
    const [one, other] = [await makeCertificate([], inAnHour()), await makeCertificate([], inAnHour())];
    assert.equal(new X509Certificate(one.cert).checkPrivateKey(createPrivateKey(other.key)), false);
    assert.notEqual(new X509Certificate(one.cert).serialNumber, new X509Certificate(other.cert).serialNumber);
  });

  test('is valid for the requested names and addresses, and no others', async () => {
    const names = ['localhost', 'host.example', '127.0.0.1', '::1', '::ffff:10.0.0.1'];
    const certificate = new X509Certificate((await makeCertificate(names, inAnHour())).cert);
    assert.equal(
      certificate.subjectAltName,
      'DNS:localhost, DNS:host.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:A00:1',
    );
    assert.equal(certificate.checkHost('host.example'), 'host.example');
    assert.equal(certificate.checkHost('other.example'), undefined);
    assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
    assert.equal(certificate.checkIP('127.0.0.2'), undefined);
  });

  test('is valid from an hour ago until the requested end', async () => {
    const end = new Date(inSeconds(Date.now() + DAY));
    const certificate = new X509Certificate((await makeCertificate(['localhost'], end)).cert);
    assert.deepEqual(certificate.validToDate, end);
    assert.ok(certificate.validFromDate.getTime() <= Date.now() - HOUR);
    assert.ok(certificate.validFromDate.getTime() > Date.now() - 2 * HOUR);
  });

  test('can be valid beyond 2049, when times are written in another way', async () => {
    for (const end of [new Date('2049-12-31T23:59:59Z'), new Date('2050-01-01T00:00:00Z')]) {
      const { cert } = await makeCertificate(['localhost'], end);
      assert.deepEqual(new X509Certificate(cert).validToDate, end);
    }
  });

  test('cannot sign other certificates, and is for servers', async () => {
    const certificate = new X509Certificate((await makeCertificate(['localhost'], inAnHour())).cert);
    assert.equal(certificate.ca, false);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  });

  test('S14: is accepted by a client that trusts it', async () => {
    const pair = await makeCertificate(['localhost', '127.0.0.1'], inAnHour());
    assert.equal(await handshake(pair), 'TLSv1.3');
  });

  test('is refused at an address that it does not name', async () => {
    const pair = await makeCertificate(['localhost', '127.0.0.2'], inAnHour());
    await assert.rejects(handshake(pair), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test('is refused after it expires', async () => {
    const pair = await makeCertificate(['127.0.0.1'], new Date(Date.now() - 5000));
    await assert.rejects(handshake(pair), { code: 'CERT_HAS_EXPIRED' });
  });
});

/** A directory, a lifetime and a log, for one keeper. */
class Place implements AsyncDisposable {
  readonly lifetime = new Lifetime('test');
  readonly directory: string;
  readonly files: { readonly cert: string; readonly key: string };
  readonly log: Logger;
  /** Resolves with the first logged error. */
  readonly firstError: Promise<unknown>;
  readonly #remove: () => Promise<void>;

  private constructor(directory: string, remove: () => Promise<void>) {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.directory = directory;
    this.files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
    this.log = createLogger({ level: 'error', stream: { write: resolve } });
    this.firstError = promise;
    this.#remove = remove;
  }

  static async make(): Promise<Place> {
    const made = await mkdtempDisposable(join(os.tmpdir(), 'certificate-'));
    return new Place(made.path, () => made.remove());
  }

  open(options: Partial<KeeperOptions> = {}): Promise<CertificateKeeper> {
    const { directory, log } = this;
    return CertificateKeeper.open(this.lifetime, { files: undefined, directory, log, ...options });
  }

  /** Writes an operator's files, with old times so that any later write is noticed as a change. */
  async put({ cert, key }: KeyPair): Promise<void> {
    for (const [path, text] of [
      [this.files.cert, cert],
      [this.files.key, key],
    ] as const) {
      await writeFile(path, text);
      await utimes(path, 1, 1);
    }
  }

  async pair(): Promise<KeyPair> {
    return { cert: await readFile(this.files.cert, 'utf8'), key: await readFile(this.files.key, 'utf8') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lifetime.end();
    await this.#remove();
  }
}

/** Repeats until a pair is applied. */
async function nextPair(keeper: CertificateKeeper, { lifetime }: Place): Promise<KeyPair> {
  const applied = Promise.withResolvers<KeyPair>();
  keeper.keep(lifetime, applied.resolve);
  return await withDeadline(10_000, 'applying a pair', () => applied.promise);
}

async function permissions(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

suite("the service's own certificate", () => {
  test('is made at the start for this host, with a key that only root can read', async () => {
    await using place = await Place.make();
    const { pair } = await place.open();
    assert.deepEqual(await place.pair(), pair);
    assert.equal(await permissions(place.files.key), '600');
    assert.equal(await permissions(place.files.cert), '644');
    const certificate = new X509Certificate(pair.cert);
    assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
    assert.equal(certificate.checkHost('localhost'), 'localhost');
    assert.equal(await handshake(pair), 'TLSv1.3');
  });

  test('replaces what a dead service left behind, whatever its mode', async () => {
    await using place = await Place.make();
    await writeFile(place.files.key, 'old', { mode: 0o666 });
    const { pair } = await place.open();
    assert.equal((await place.pair()).key, pair.key);
    assert.equal(await permissions(place.files.key), '600');
  });

  test('is removed at the end with everything else', async () => {
    await using place = await Place.make();
    await place.open();
    assert.deepEqual((await readdir(place.directory)).toSorted(), ['cert.pem', 'key.pem']);
    assert.deepEqual(
      place.lifetime.holdings.list().map(({ what }) => what),
      [place.files.cert, place.files.key],
    );
    assert.deepEqual(await place.lifetime.end(), []);
    assert.deepEqual(await readdir(place.directory), []);
    assert.deepEqual(place.lifetime.holdings.list(), []);
  });

  test('is renewed before it expires, without a restart', async () => {
    await using place = await Place.make();
    const keeper = await place.open({ validity: 6000, checkEvery: 20 });
    const old = keeper.pair;
    const renewed = await nextPair(keeper, place);
    assert.ok(Date.now() < validUntil(old), 'it arrived too late');
    assert.ok(validUntil(renewed) > validUntil(old));
    assert.notEqual(renewed.key, old.key);
    assert.equal(keeper.pair, renewed);
    assert.deepEqual(await place.pair(), renewed);
    assert.equal(await permissions(place.files.key), '600');
    assert.equal(await handshake(renewed), 'TLSv1.3');
    assert.deepEqual(await place.lifetime.end(), []);
    assert.deepEqual(await readdir(place.directory), []);
  });

  test('is valid for 90 days and renewed when 30 days are left', async (t) => {
    await using place = await Place.make();
    const { keeper, applied, pass } = await kept(t, place, 61 * DAY);
    assert.equal(validUntil(keeper.pair), inSeconds(Date.now() + 90 * DAY));
    await pass();
    assert.deepEqual(await place.lifetime.end(), []);
    assert.deepEqual(applied.map(validUntil), [inSeconds(Date.now() + 90 * DAY)]);
  });

  test('is not renewed while more than 30 days are left', async (t) => {
    await using place = await Place.make();
    const { applied, pass } = await kept(t, place, 59 * DAY);
    await pass();
    assert.deepEqual(await place.lifetime.end(), []);
    assert.deepEqual(applied, []);
  });

  test('with a short lifetime is renewed once when a third of it is left', async (t) => {
    await using place = await Place.make();
    const { applied, pass } = await kept(t, place, 4 * DAY, 7 * DAY);
    await pass();
    assert.deepEqual(applied, []);
    await pass();
    assert.deepEqual(await place.lifetime.end(), []);
    assert.equal(applied.length, 1);
  });

  test('is renewed when the host gets a new address', async (t) => {
    const interfaces = os.networkInterfaces();
    await using place = await Place.make();
    const keeper = await place.open({ checkEvery: 20 });
    t.mock.method(os, 'networkInterfaces', () => ({
      ...interfaces,
      new0: [{ address: '192.0.2.77', netmask: '', family: 'IPv4', mac: '', internal: false, cidr: null }],
    }));
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    assert.equal(new X509Certificate(keeper.pair.cert).checkIP('192.0.2.77'), undefined);
    syncBuiltinESMExports();
    const renewed = await nextPair(keeper, place);
    assert.equal(new X509Certificate(renewed.cert).checkIP('192.0.2.77'), '192.0.2.77');
  });

  test('cannot be made without a directory', async () => {
    await using place = await Place.make();
    await assert.rejects(place.open({ directory: join(place.directory, 'missing') }), {
      code: 'start.certificate',
      message: /ENOENT/,
    });
  });

  test('is checked only during its lifetime', async (t) => {
    await using place = await Place.make();
    const { applied, pass } = await kept(t, place, 61 * DAY);
    assert.deepEqual(await place.lifetime.end(), []);
    await pass();
    assert.deepEqual(applied, []);
    assert.deepEqual(await readdir(place.directory), []);
  });
});

/** A keeper on mocked time, its applied pairs, and a function that advances the time by `span`. */
async function kept(t: TestContext, place: Place, span: number, validity?: number) {
  t.mock.timers.enable({ apis: ['Date', 'setInterval'], now: Date.now() });
  const applied: KeyPair[] = [];
  // Four checks, because a timer can have at most 24 days.
  const checkEvery = span / 4;
  const keeper = await place.open({ checkEvery, ...(validity && { validity }) });
  keeper.keep(place.lifetime, (pair) => applied.push(pair));
  const pass = async () => {
    for (let look = 0; look < 4; look++) {
      t.mock.timers.tick(checkEvery);
      await turn();
    }
  };
  return { keeper, applied, pass };
}

suite("an operator's certificate", () => {
  test('S14: is served unchanged, and stays in place at the end', async () => {
    const pair = await makeCertificate(['127.0.0.1'], inAnHour());
    await using place = await Place.make();
    await place.put(pair);
    assert.deepEqual((await place.open({ files: place.files })).pair, pair);
    assert.deepEqual(await place.lifetime.end(), []);
    assert.deepEqual(await place.pair(), pair);
  });

  test('is reloaded when its files change', async () => {
    const [old, replacement] = [
      await makeCertificate(['127.0.0.1'], inAnHour()),
      await makeCertificate(['127.0.0.1'], inAnHour()),
    ];
    await using place = await Place.make();
    await place.put(old);
    const keeper = await place.open({ files: place.files, checkEvery: 20 });
    const applied = nextPair(keeper, place);
    await writeFile(place.files.cert, replacement.cert);
    await writeFile(place.files.key, replacement.key);
    assert.deepEqual(await applied, replacement);
    assert.deepEqual(keeper.pair, replacement);
  });

  test('is not reloaded while its files do not change', async (t) => {
    await using place = await Place.make();
    await place.put(await makeCertificate(['127.0.0.1'], inAnHour()));
    t.mock.timers.enable({ apis: ['setInterval'] });
    const keeper = await place.open({ files: place.files, checkEvery: 1000 });
    const applied: KeyPair[] = [];
    keeper.keep(place.lifetime, (pair) => applied.push(pair));
    t.mock.timers.tick(5000);
    assert.deepEqual(await place.lifetime.end(), []);
    assert.deepEqual(applied, []);
  });

  const breakages: Readonly<Record<string, (files: Place['files']) => Promise<void>>> = {
    'is broken': ({ cert }) => writeFile(cert, 'not a certificate'),
    'has a key that does not match': async ({ key }) =>
      writeFile(key, (await makeCertificate(['127.0.0.1'], inAnHour())).key),
    'is missing': ({ key }) => rm(key),
  };
  for (const [how, breakIt] of Object.entries(breakages)) {
    test(`is kept if its replacement ${how}, until there is a valid one`, async () => {
      const [old, good] = [
        await makeCertificate(['127.0.0.1'], inAnHour()),
        await makeCertificate(['127.0.0.1'], inAnHour()),
      ];
      await using place = await Place.make();
      await place.put(old);
      const keeper = await place.open({ files: place.files, checkEvery: 20 });
      const applied = nextPair(keeper, place);
      await breakIt(place.files);
      assert.match(
        String(await withDeadline(10_000, 'logging an error', () => place.firstError)),
        /could not renew the certificate; still serving the old one/,
      );
      assert.deepEqual(keeper.pair, old);
      await writeFile(place.files.cert, good.cert);
      await writeFile(place.files.key, good.key);
      assert.deepEqual(await applied, good);
    });
  }

  test('is refused at the start if its key does not match', async () => {
    const [one, other] = [
      await makeCertificate(['127.0.0.1'], inAnHour()),
      await makeCertificate(['127.0.0.1'], inAnHour()),
    ];
    await using place = await Place.make();
    await place.put({ cert: one.cert, key: other.key });
    await assert.rejects(place.open({ files: place.files }), {
      code: 'start.certificate',
      message: /mismatch.*check TLS_CERT_FILE and TLS_KEY_FILE/,
    });
  });

  test('is refused at the start if it does not exist', async () => {
    await using place = await Place.make();
    await assert.rejects(place.open({ files: place.files }), {
      code: 'start.certificate',
      message: /ENOENT/,
    });
  });
});
