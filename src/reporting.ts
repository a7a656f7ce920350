/**
 * Reports the service's state outside this host: to Sentry and logz.io through the log, to the webserver through
 * heartbeats, and to EC2 through tags. It is opened first and closed last. Each wait for an outside service has a time
 * limit.
 */

import { messageOf } from '../errors/service-error.ts';
import { type HeartbeatOptions, Heartbeats, type Outcome, sayGone } from '../host/heartbeats.ts';
import { Imds } from '../host/imds.ts';
import { InstanceState } from '../host/instance-state.ts';
import { KeptRegistration } from '../host/kept-registration.ts';
import { askEc2, describeThisMachine, type HostFacts, Metadata, metadataEndpoint } from '../host/metadata.ts';
import { pathsBelow } from '../host/paths.ts';
import { Webserver } from '../host/webserver.ts';
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import type { Page } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { LastLines } from '../logging/last-lines.ts';
import { parseLine, type Tags } from '../logging/line.ts';
import type { Logger } from '../logging/logger.ts';
import type { Outlets } from '../logging/outlets.ts';
import { Sentry } from '../logging/sentry.ts';
import { HttpClient } from '../outgoing/http-client.ts';
import type { Settings } from '../settings/load.ts';
import { awsTags } from './aws-tags.ts';
import { LogPlaces } from './log-places.ts';
import { SERVICE_PAGE } from './observe.ts';

/** Time limits in milliseconds: for finding out which host died, for a report of a death, and for the end of a stop. */
const IDENTITY = 1500;
const DEATH = 2000;
const LAST_REPORT = 5000;
const LAST_LINES = 3000;
const TERMINATION = 10_000;
const TAG = 60_000;

/** The identity of this host: what a process needs to report a crash of this service. */
export interface Identity {
  readonly facts?: HostFacts;
  /** Whether the start was complete and no stop was requested. */
  readonly wasRunning?: boolean;
  /** Whether the end was reported. */
  readonly isReported?: true;
}

/** The content of the service's own page in the ledger. */
export interface ServiceFacts extends Identity {
  readonly pid: number;
}

/** @returns the service's own page, if there is one */
export function pageIn(pages: readonly Page[]): Page | undefined {
  return pages.find(({ name }) => name === SERVICE_PAGE);
}

export function serviceFactsIn(pages: readonly Page[]): Partial<ServiceFacts> | undefined {
  return pageIn(pages)?.facts as Partial<ServiceFacts> | undefined;
}

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
  readonly metadata = new Metadata(() => this.#findFacts());
  readonly #closing = new AbortController();
  #imds: Imds | undefined;
  #tags: Tags = {};
  #identity: Identity = {};
  #keep: (identity: Identity) => void = () => {};
  #sentry: Sentry | undefined;
  #places: LogPlaces | undefined;
  #heartbeats: Heartbeats | undefined;
  #instance: InstanceState | undefined;

  constructor({ settings, outlets, log }: ReportingOptions) {
    this.#settings = settings;
    this.#outlets = outlets;
    this.#log = log;
    const { WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN, PASSWORD } = settings;
    const secrets = { WEBSERVER_AUTH_SECRET, SENTRY_DSN, LOGZIO_SHIPPING_TOKEN, PASSWORD };
    for (const [name, secret] of Object.entries(secrets)) {
      if (secret) outlets.secrets.set(name, secret.reveal());
    }
    const { username = '', password = '' } = SENTRY_DSN ? new URL(SENTRY_DSN.reveal()) : {};
    outlets.secrets.set('key of Sentry', username);
    outlets.secrets.set('old secret of Sentry', password);
  }

  /** The secrets that no line may contain. */
  get secrets(): Outlets['secrets'] {
    return this.#outlets.secrets;
  }

  /** From here on, errors go to Sentry and the log to other places, as far as that is enabled. */
  async open(): Promise<void> {
    const { USE_PROD_LOGGING, APP_ENV, COMMIT, SENTRY_DSN } = this.#settings;
    const [http, log] = [this.#http, this.#log];
    const region = async () => {
      const { region: found } = await this.metadata.facts();
      if (found !== describeThisMachine().region) return found;
      throw new Error('the region of this host is not known; set AWS_REGION');
    };
    const [settings, outlets] = [this.#settings, this.#outlets];
    this.#places = await LogPlaces.open({ settings, outlets, http, log, region });
    if (!USE_PROD_LOGGING || !SENTRY_DSN) return;
    const report = (fields: object, message: string) => log.warn(fields, message);
    const options = { http, dsn: SENTRY_DSN.reveal(), release: COMMIT, environment: APP_ENV, report };
    this.#sentry = await Sentry.open(options);
    this.#outlets.add(this.#sentry);
    this.#tag({ environment: APP_ENV, release: COMMIT });
  }

  /** Ties the instance to this process. A process that finds another copy running must not do so. */
  ownInstance(): void {
    const { ON_DEATH: onDeath, AWS_ENDPOINT_URL_EC2: endpoint } = this.#settings;
    if (onDeath === 'none') return;
    this.#instance = new InstanceState({ metadata: this.metadata, onDeath, endpoint, log: this.#log });
  }

  /** Keeps the last log lines for a report of a crash, until the lifetime ends. */
  async keepLastLines(lifetime: Lifetime, directory: string): Promise<void> {
    const lines = new LastLines(directory);
    this.#outlets.add(lines);
    await lifetime.defer('removing the last lines of the log', () => lines.close());
  }

  /** Finds out what this host is. A failure does not prevent the start. */
  async describeHost({ signal }: Lifetime): Promise<void> {
    try {
      await unlessAborted(this.metadata.facts(), signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#log.error({ error }, messageOf(error));
    }
  }

  /** Undefined if it is unknown, and outside EC2. */
  get region(): string | undefined {
    const { region } = this.#identity.facts ?? {};
    return region === describeThisMachine().region ? undefined : region;
  }

  /**
   * @param left the identity that a crashed service left
   * @param keep called with the identity of this host, now and when more of it is known
   */
  keepIdentity(left: Identity, keep: (identity: Identity) => void): void {
    this.#keep = keep;
    if (left.facts) this.#tag(awsTags(left.facts));
    this.#know(left);
  }

  #know(more: Identity): void {
    this.#identity = { ...this.#identity, ...more };
    this.#keep(this.#identity);
  }

  /** Starts to report to EC2 and the webserver that this host is alive. */
  beginHeartbeats(lifetime: Lifetime, onBeat: (outcome: Outcome) => void): void {
    this.#know({ wasRunning: true });
    const running = this.#instance?.running(TAG, lifetime.signal);
    if (running) void lifetime.track('tagging the instance', running);
    const options = this.#heartbeatOptions();
    if (options) this.#heartbeats = new Heartbeats(lifetime, { ...options, onBeat });
  }

  /** @returns undefined if there is no webserver */
  #heartbeatOptions(): HeartbeatOptions | undefined {
    const { WEBSERVER_URL: url, DYING_HEARTBEAT: dyingAs, ROOT } = this.#settings;
    if (!url) return undefined;
    return {
      webserver: new Webserver({ http: this.#http, url, dyingAs }),
      metadata: this.metadata,
      kept: new KeptRegistration(pathsBelow(ROOT).state, url.href, this.#log),
      log: this.#log,
      onRegistration: ({ token }) => this.#outlets.secrets.set('the token of the webserver', token),
    };
  }

  /** Whether the webserver has yet to receive the last heartbeat of a service that is gone. */
  async owesHeartbeat(): Promise<boolean> {
    return (await this.#heartbeatOptions()?.kept.exists()) ?? false;
  }

  /** Delivers it, with retries. @throws the reason of `signal` */
  async payHeartbeat(signal: AbortSignal): Promise<void> {
    const options = this.#heartbeatOptions();
    if (options) await sayGone(options, signal);
  }

  /** Reports whether this host accepts containers. */
  tellDraining(isDraining: boolean): void {
    void (isDraining ? this.#instance?.draining(TAG) : this.#instance?.running(TAG));
    this.#heartbeats?.drain(isDraining);
  }

  /**
   * Reports a death. Returns when it is reported or the time is over.
   * @param say writes it to the log; at that point the identity of the host is known if possible
   */
  async tellDeath(error: unknown, say: () => void, patience = DEATH): Promise<void> {
    if (this.#identity.isReported) return say();
    // Secrets are redacted as in any line.
    const { msg = '' } = parseLine(this.#outlets.secrets.hide(JSON.stringify({ msg: messageOf(error) })));
    await Promise.all([
      this.#sayDying(patience),
      this.#tellSentry(error, say, patience),
      this.#instance?.dead(msg, patience),
    ]);
    this.#know({ isReported: true });
  }

  async #sayDying(patience: number): Promise<void> {
    if (this.#heartbeats) return await this.#heartbeats.sayDying(patience);
    await withDeadline(patience, 'the dying heartbeat', (late) => this.payHeartbeat(late)).catch(
      (error: unknown) => this.#log.warn({ error }, 'could not tell the webserver that this host is dying'),
    );
  }

  async #tellSentry(error: unknown, say: () => void, patience: number): Promise<void> {
    const beginning = performance.now();
    if (this.#sentry && !this.#identity.facts) {
      this.#log.warn({ error }, 'dying; asking EC2 which host this is, to report the death');
      await withDeadline(IDENTITY, 'identifying', () => this.metadata.facts()).catch(() => {});
    }
    say();
    await this.#sentry?.flush(patience - (performance.now() - beginning));
  }

  /** Tells EC2 and the webserver that this host has ended, after everything is released. */
  async tellStop(): Promise<void> {
    await Promise.all([this.#heartbeats?.sayDying(LAST_REPORT), this.#instance?.stopped(LAST_REPORT)]);
    this.conclude();
  }

  /** After a stop or a hand-over, a later clean-up must neither report a crash nor terminate the instance. */
  conclude(): void {
    this.#keep({ ...this.#identity, isReported: true, wasRunning: false });
  }

  /**
   * Terminates the instance after a crash, if that is configured.
   * @param left the number of containers, held resources and waiting saves; if there are any, or if the start was not
   * complete, the instance stays
   */
  async terminateInstance(left: number): Promise<void> {
    const refusal = 'not terminating the instance, because something on it may still be needed';
    if (this.#settings.ON_DEATH !== 'terminate') return;
    if (left === 0 && this.#identity.wasRunning) await this.#instance?.terminate(TERMINATION);
    else this.#log.warn({ left }, refusal);
  }

  /** Sends what is waiting and closes all connections. @param patience milliseconds; missing: a few seconds */
  async close(patience = Infinity): Promise<void> {
    this.#closing.abort(new Error('the service has ended'));
    this.#instance?.close();
    await Promise.all([
      this.#places?.drain(Math.min(LAST_LINES, patience)),
      this.#sentry?.flush(Math.min(LAST_REPORT, patience)),
    ]);
    const events = await this.#sentry?.close();
    if (events) this.#log.warn({ events }, 'some events did not reach Sentry');
    await this.#http.close();
  }

  async #findFacts(): Promise<HostFacts> {
    const facts = this.#identity.facts ?? (await this.#askFacts());
    this.#log.info(facts, 'identified this host');
    this.#tag(awsTags(facts));
    this.#know({ facts });
    return facts;
  }

  /** One client for all callers, so that they share its session token. @returns undefined if there is no metadata */
  async imds(): Promise<Imds | undefined> {
    const endpoint = await metadataEndpoint(this.#settings);
    if (endpoint) this.#imds ??= new Imds(this.#http, endpoint);
    return this.#imds;
  }

  async #askFacts(): Promise<HostFacts> {
    const imds = await this.imds();
    return imds ? await askEc2(imds, this.#closing.signal) : describeThisMachine();
  }

  #tag(tags: Tags): void {
    this.#tags = { ...this.#tags, ...tags };
    if (this.#sentry) this.#sentry.tags = this.#tags;
    if (this.#places) this.#places.tags = this.#tags;
  }
}
