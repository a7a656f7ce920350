/**
 * The outside world of a host in `dev`: the webserver, Sentry, logz.io and EC2's metadata. The metadata is at its real address,
 * which exists only on the loopback of the test host (own-host.sh).
 */

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostFacts } from '../../host/metadata.ts';
import { makeCertificate } from '../../httpserver/self-signed-certificate.ts';
import { keep } from './evidence.ts';
import { type Fault, Recorder, type Reply, type Request } from './recorder.ts';
import { AUTH_TOKEN, LOGZIO_TOKEN, OWN_SECRET, SENTRY_KEY } from './secrets.ts';

export const METADATA: Readonly<Record<string, string>> = {
  'ami-id': 'ami-0abc',
  'ami-launch-index': '3',
  'instance-id': 'i-0123456789abcdef0',
  'instance-type': 'g3.4xlarge',
  'placement/region': 'us-east-1',
  'public-ipv4': '203.0.113.7',
};

/** The same, under the names of the service's settings. */
export const FACTS: HostFacts = {
  amiId: 'ami-0abc',
  amiLaunchIndex: '3',
  instanceId: 'i-0123456789abcdef0',
  instanceType: 'g3.4xlarge',
  region: 'us-east-1',
  publicIpv4: '203.0.113.7',
};

const OK: Reply = { status: 200, body: '' };

/** The webserver's side of the two calls, with its table of hosts. */
function webserver(): (request: Request) => Reply {
  const known = new Map<string, string>();
  const status = (code: number) => ({ status: code, body: JSON.stringify({ status: code }) });
  let given = 0;
  return ({ path, body }) => {
    const fields = JSON.parse(body);
    if (path === '/host_service/auth') {
      if (known.has(fields.InstanceID)) return status(400);
      const AuthToken = `${AUTH_TOKEN}${String(++given).padStart(19, '0')}`;
      known.set(fields.InstanceID, AuthToken);
      return { status: 200, body: JSON.stringify({ AuthToken }) };
    }
    if (known.get(fields.InstanceID) !== fields.AuthToken) return status(404);
    if (fields.IsDyingHeartbeat === 'True') known.delete(fields.InstanceID);
    return status(200);
  };
}

/** EC2's metadata, with IMDSv2 only. */
export function imds(items: Readonly<Record<string, string>> = METADATA): (request: Request) => Reply {
  return ({ method, path, headers }) => {
    if (path === '/latest/api/token' && method === 'PUT') {
      return headers['x-aws-ec2-metadata-token-ttl-seconds']
        ? { status: 200, body: 'session-token==' }
        : { status: 400, body: '' };
    }
    if (headers['x-aws-ec2-metadata-token'] !== 'session-token==') return { status: 401, body: '' };
    const found = items[path.replace('/latest/meta-data/', '')];
    return found === undefined ? { status: 404, body: '' } : { status: 200, body: found };
  };
}

export class World {
  readonly webserver: Recorder;
  readonly sentry: Recorder;
  readonly logzIo: Recorder;
  /** The items of the metadata, which a test may change. */
  readonly items: Record<string, string>;
  readonly #metadata: Recorder | undefined;
  readonly #certificate: string;

  /** @param metadata false if another world on this host provides them */
  static async open({ metadata = true } = {}): Promise<World> {
    const tls = await makeCertificate(['127.0.0.1'], new Date(Date.now() + 86_400_000));
    const certificate = join(mkdtempSync('/run/test/world-'), 'cert.pem');
    writeFileSync(certificate, tls.cert);
    const items = { ...METADATA };
    const reply = (request: Request) => imds(items)(request);
    return new World(
      items,
      certificate,
      await Recorder.open({ tls, reply: webserver() }),
      await Recorder.open({ tls, reply: () => ({ status: 200, body: '{}' }) }),
      await Recorder.open({ tls, reply: () => OK }),
      metadata ? await Recorder.open({ address: '169.254.169.254', port: 80, reply }) : undefined,
    );
  }

  private constructor(
    items: Record<string, string>,
    certificate: string,
    webserver: Recorder,
    sentry: Recorder,
    logzIo: Recorder,
    metadata: Recorder | undefined,
  ) {
    this.items = items;
    this.#certificate = certificate;
    this.webserver = webserver;
    this.sentry = sentry;
    this.logzIo = logzIo;
    this.#metadata = metadata;
  }

  get metadata(): Recorder {
    return this.#metadata ?? assert.fail('this world has no metadata');
  }

  /** Settings of a host in `dev`, with everything enabled. */
  get settings(): Record<string, string> {
    return {
      APP_ENV: 'dev',
      INPUT_DEVICES: 'optional',
      // The machine has only one, which test hosts share.
      FRONT_CONSOLE: 'leave',
      ECS_AGENT: 'none',
      WEBSERVER_AUTH_SECRET: OWN_SECRET,
      WEBSERVER_URL: this.webserver.url,
      SENTRY_DSN: this.sentry.url.replace('//', `//${SENTRY_KEY}@`).concat('/42'),
      LOGZIO_URL: this.logzIo.url,
      LOGZIO_SHIPPING_TOKEN: LOGZIO_TOKEN,
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://169.254.169.254',
      NODE_EXTRA_CA_CERTS: this.#certificate,
      USE_PROD_LOGGING: 'yes',
      USER_CONFIG_BUCKET: 'none',
      COMMIT: 'c0ffee',
    };
  }

  /** Everything except the metadata has this fault from now on. */
  async turn(fault: Fault): Promise<void> {
    await Promise.all([this.webserver, this.sentry, this.logzIo].map((one) => one.turn(fault)));
  }

  /** Everything works again. */
  async mend(): Promise<void> {
    await Promise.all([this.webserver, this.sentry, this.logzIo].map((one) => one.mend()));
  }

  /** The requests to the webserver: the call and its fields. */
  get beats(): { readonly at: number; readonly call: string; readonly fields: Record<string, unknown> }[] {
    return this.webserver.requests.map(({ at, path, body }) => ({
      at,
      call: path.replace('/host_service/', ''),
      fields: JSON.parse(body),
    }));
  }

  /** The events that Sentry received, with the time of their arrival. */
  get events(): { readonly at: number; readonly event: SentryEvent }[] {
    return this.sentry.requests.map(({ at, body }) => ({
      at,
      event: JSON.parse(body.split('\n')[2] as string),
    }));
  }

  /** The lines that logz.io received. */
  get lines(): Record<string, unknown>[] {
    return this.logzIo.requests.flatMap(({ body }) =>
      body
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
  }

  /** Keeps the requests, without the secrets that belong to their recipients. */
  async close(): Promise<void> {
    for (const { path, body } of this.webserver.requests)
      keep('webserver', path + body.replace(/"AuthToken":"[^"]*"/, ''));
    for (const { body } of this.sentry.requests) keep('sentry', body.replace(/"public_key":"[^"]*"/, ''));
    for (const { body } of this.logzIo.requests) keep('logzio', body);
    const all = [this.webserver, this.sentry, this.logzIo, ...(this.#metadata ? [this.#metadata] : [])];
    await Promise.all(all.map((one) => one.close()));
  }
}

/** The fields of an event that tests check. */
export interface SentryEvent {
  readonly level: string;
  readonly message: string;
  readonly release: string;
  readonly environment: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly exception?: { readonly values: readonly SentryException[] };
  readonly breadcrumbs: readonly { readonly message: string; readonly level: string }[];
}

export interface SentryException {
  readonly type: string;
  readonly value: string;
  readonly stacktrace: { readonly frames: readonly { readonly filename: string; readonly lineno: number }[] };
}
