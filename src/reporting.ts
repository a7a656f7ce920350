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
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Tags } from '../logging/line.ts';
import type { Logger } from '../logging/logger.ts';
import { LogzIo } from '../logging/logzio.ts';
import type { Outlets } from '../logging/outlets.ts';
import { Sentry } from '../logging/sentry.ts';
import { HttpClient } from '../outgoing/http-client.ts';
import type { Settings } from '../settings/load.ts';

/** Milliseconds, at most: of finding out who died, of all of the report of a death, and of what the end of a stop waits for. */
const IDENTITY = 1500;
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
  readonly #metadata = new Metadata(() => this.#findFacts());
  readonly #closing = new AbortController();
  #tags: Tags = {};
  #facts: HostFacts | undefined;
  #sentry: Sentry | undefined;
  #logzIo: LogzIo | undefined;
  #heartbeats: Heartbeats | undefined;

  constructor({ settings, outlets, log }: ReportingOptions) {
    this.#settings = settings;
    this.#outlets = outlets;
    this.#log = log;
    const { WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN } = settings;
    for (const [name, secret] of Object.entries({
      WEBSERVER_AUTH_SECRET,
      SENTRY_DSN,
      LOGZIO_SHIPPING_TOKEN,
    })) {
      if (secret) outlets.secrets.set(name, secret.reveal());
    }
    const { username = '', password = '' } = SENTRY_DSN ? new URL(SENTRY_DSN.reveal()) : {};
    outlets.secrets.set('key of Sentry', username);
    outlets.secrets.set('old secret of Sentry', password);
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
    this.#sentry = await Sentry.open({ http, dsn, release: COMMIT, environment: APP_ENV, report });
    this.#outlets.add(this.#sentry);
    this.#logzIo.tags = this.#tags = { environment: APP_ENV, release: COMMIT };
  }

  /** Learns what this host is. That it cannot be learnt now is no reason not to start. */
  async describeHost({ signal }: Lifetime): Promise<void> {
    try {
      await unlessAborted(this.#metadata.facts(), signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#log.error({ error }, messageOf(error));
    }
  }

  /** Where this host is, if that is known and it is on EC2. */
  get region(): string | undefined {
    return this.#facts?.region === describeThisMachine().region ? undefined : this.#facts?.region;
  }

  /** Tells the webserver that this host lives, from now on. */
  beginHeartbeats(lifetime: Lifetime): void {
    const { WEBSERVER_URL: url, DYING_HEARTBEAT: dyingAs } = this.#settings;
    if (!url) return;
    const { secrets } = this.#outlets;
    this.#heartbeats = new Heartbeats(lifetime, {
      webserver: new Webserver({ http: this.#http, url, dyingAs }),
      metadata: this.#metadata,
      log: this.#log,
      onToken: (token) => secrets.set('the token of the webserver', token),
    });
  }

  /**
   * Reports a death, for 2 seconds at most: when the world knows of it, or the time is over, it returns.
   * @param say writes it into the log; by then it is known which host it is that died, if that can be found out
   */
  async tellDeath(error: unknown, say: () => void): Promise<void> {
    await Promise.all([this.#heartbeats?.sayDying(DEATH), this.#tellSentry(error, say)]);
  }

  async #tellSentry(error: unknown, say: () => void): Promise<void> {
    const beginning = performance.now();
    if (this.#sentry && !this.#facts) {
      this.#log.warn({ error }, 'dying; finding out which host this is, to report it');
      await withDeadline(IDENTITY, 'identifying', () => this.#metadata.facts()).catch(() => {});
    }
    say();
    await this.#sentry?.flush(DEATH - (performance.now() - beginning));
  }

  /** Tells the webserver, after everything has ended as it should, that this host is no more. */
  async tellStop(): Promise<void> {
    await this.#heartbeats?.sayDying(LAST_HEARTBEAT);
  }

  /** Sends what is still waiting, for some seconds at most, and closes all connections. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the service has ended'));
    const [lines] = await Promise.all([this.#logzIo?.drain(LAST_LINES), this.#sentry?.flush(LAST_EVENTS)]);
    const events = await this.#sentry?.close();
    if (lines) this.#log.warn({ lines }, 'lines of the log did not reach logz.io');
    if (events) this.#log.warn({ events }, 'events did not reach Sentry');
    await this.#http.close();
  }

  async #findFacts(): Promise<HostFacts> {
    const { AWS_EC2_METADATA_SERVICE_ENDPOINT: given, AWS_EC2_METADATA_DISABLED: disabled } = this.#settings;
    const endpoint = disabled ? undefined : (given ?? ((await isEc2()) ? EC2_ENDPOINT : undefined));
    const facts = endpoint ? await askEc2(this.#http, endpoint, this.#closing.signal) : describeThisMachine();
    this.#log.info(facts, 'this host is known');
    this.#tag(awsTags(facts));
    this.#facts = facts;
    return facts;
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
