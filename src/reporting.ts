/**
 * How the world beyond this host hears of the service: Sentry and logz.io through the log, the webserver through
 * heartbeats. It is opened first and closed last, and whatever is wrong out there, each wait for it has a limit.
 */

import { messageOf } from '../errors/service-error.ts';
import { Heartbeats } from '../host/heartbeats.ts';
import {
  askEc2,
  describeThisMachine,
  EC2_ENDPOINT,
  type HostFacts,
  isEc2,
  Metadata,
} from '../host/metadata.ts';
import { Webserver } from '../host/webserver.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Tags } from '../logging/line.ts';
import type { Logger } from '../logging/logger.ts';
import { LogzIo } from '../logging/logzio.ts';
import type { Outlets } from '../logging/outlets.ts';
import { Sentry } from '../logging/sentry.ts';
import { HttpClient } from '../outgoing/http-client.ts';
import type { Settings } from '../settings/load.ts';

/** Milliseconds that the report of a death takes at most, and what the end of a stop waits for. */
const DEATH = 2000;
const LAST_HEARTBEAT = 5000;
const LAST_EVENTS = 5000;
const LAST_LINES = 3000;

export interface ReportingOptions {
  readonly settings: Settings;
  readonly outlets: Outlets;
  readonly log: Logger;
}

export class Reporting {
  readonly #settings: Settings;
  readonly #outlets: Outlets;
  readonly #log: Logger;
  readonly #http = new HttpClient();
  #tags: Tags = {};
  #metadata: Metadata | undefined;
  #sentry: Sentry | undefined;
  #logzIo: LogzIo | undefined;
  #heartbeats: Heartbeats | undefined;

  constructor({ settings, outlets, log }: ReportingOptions) {
    this.#settings = settings;
    this.#outlets = outlets;
    this.#log = log;
    const { WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN } = settings;
    for (const secret of [WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN]) {
      if (secret) outlets.secrets.add(secret.reveal());
    }
  }

  /** From here on errors go to Sentry and the log to logz.io, if they are to. */
  async open(): Promise<void> {
    const { USE_PROD_LOGGING, APP_ENV, COMMIT, SENTRY_DSN, LOGZIO_URL, LOGZIO_SHIPPING_TOKEN } =
      this.#settings;
    if (!USE_PROD_LOGGING || !SENTRY_DSN || !LOGZIO_URL || !LOGZIO_SHIPPING_TOKEN) return;
    const http = this.#http;
    const report = (fields: object, message: string) => this.#log.warn(fields, message);
    this.#logzIo = new LogzIo({ http, url: LOGZIO_URL, token: LOGZIO_SHIPPING_TOKEN.reveal(), report });
    this.#outlets.add(this.#logzIo);
    const dsn = SENTRY_DSN.reveal();
    this.#sentry = await Sentry.open({ http, dsn, release: COMMIT, environment: APP_ENV });
    this.#outlets.add(this.#sentry);
    this.#logzIo.tags = this.#tags = { environment: APP_ENV, release: COMMIT };
  }

  /** Learns what this host is. That it cannot be learnt now is no reason not to start. */
  async describeHost({ signal }: Lifetime): Promise<void> {
    const { AWS_EC2_METADATA_SERVICE_ENDPOINT: given, AWS_EC2_METADATA_DISABLED: disabled } = this.#settings;
    const endpoint = disabled ? undefined : (given ?? ((await isEc2()) ? EC2_ENDPOINT : undefined));
    this.#metadata = new Metadata(async () => {
      const facts = endpoint ? await askEc2(this.#http, endpoint, signal) : describeThisMachine();
      this.#log.info(facts, 'this host is known');
      this.#tag(awsTags(facts));
      return facts;
    });
    try {
      await this.#metadata.facts();
    } catch (error) {
      signal.throwIfAborted();
      this.#log.error({ error }, messageOf(error));
    }
  }

  /** Tells the webserver that this host lives, from now on. */
  beginHeartbeats(lifetime: Lifetime): void {
    const { WEBSERVER_URL: url, DYING_HEARTBEAT: dyingAs } = this.#settings;
    if (!url || !this.#metadata) return;
    const { secrets } = this.#outlets;
    this.#heartbeats = new Heartbeats(lifetime, {
      webserver: new Webserver({ http: this.#http, url, dyingAs }),
      metadata: this.#metadata,
      log: this.#log,
      onToken: (token) => secrets.add(token),
    });
  }

  /** To be called when the death is in the log: returns when the world knows of it, or 2 seconds later. */
  async tellDeath(): Promise<void> {
    await Promise.all([this.#sentry?.flush(DEATH), this.#heartbeats?.sayDying(DEATH)]);
  }

  /** Tells the webserver, after everything has ended as it should, that this host is no more. */
  async tellStop(): Promise<void> {
    await this.#heartbeats?.sayDying(LAST_HEARTBEAT);
  }

  /** Sends what is still waiting, for some seconds at most, and closes all connections. */
  async close(): Promise<void> {
    const [undelivered, flushed] = await Promise.all([
      this.#logzIo?.drain(LAST_LINES),
      this.#sentry?.flush(LAST_EVENTS),
    ]);
    if (undelivered) this.#log.warn({ lines: undelivered }, 'lines of the log did not reach logz.io');
    if (flushed === false) this.#log.warn('events did not reach Sentry');
    await this.#sentry?.close();
    await this.#http.close();
  }

  #tag(tags: Tags): void {
    this.#tags = { ...this.#tags, ...tags };
    if (this.#sentry) this.#sentry.tags = this.#tags;
    if (this.#logzIo) this.#logzIo.tags = this.#tags;
  }
}

/** The predecessor's names, by which people have come to search. */
function awsTags(facts: HostFacts): Tags {
  return {
    'aws.ami-id': facts.amiId,
    'aws.ami-launch-index': facts.amiLaunchIndex,
    'aws.instance-id': facts.instanceId,
    'aws.instance-type': facts.instanceType,
    'aws.placement-region': facts.region,
    ...(facts.publicIpv4 && { 'aws.public-ipv4': facts.publicIpv4 }),
  };
}
