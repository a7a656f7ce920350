/**
 * The set-up of one container: the webserver assigns it, a client app proves its identity, and then it is ready.
 *
 * INVARIANTS
 * - Calls with start values are processed one by one. Calls of client apps do not wait for each other.
 * - `.ready` is written once, after everything that it guarantees, including the user's files or the fact that there
 *   are none.
 * - Work in progress is a task of the container's lifetime, so its files stay until the work is done.
 */

import { ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { ContainerFacts } from './facts.ts';
import type { HandedOffer } from './handed-over.ts';
import type { ResourceMappings } from './resource-mappings.ts';
import { Candidates, proves, type StartValues, sameStartValues, type TokenOffer } from './start-values.ts';
import type { StateMachine } from './state.ts';
import type { ConfigHistory, UserConfig } from './user-config.ts';

/** What the set-up needs of its container. */
export interface SetUpParts {
  /** The identifying host port. */
  readonly port: number;
  readonly mappings: ResourceMappings;
  readonly config: UserConfig;
  readonly state: StateMachine;
  readonly lifetime: Lifetime;
  /** Called with facts that must survive a crash, as soon as they are settled. */
  readonly note: (facts: Pick<ContainerFacts, 'startValues' | 'isReady'>) => void;
  readonly log: Logger;
}

export class SetUp {
  readonly #parts: SetUpParts;
  readonly #candidates: Candidates;
  #startValues: StartValues | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #ready: Promise<void> | undefined;

  /**
   * @param settled the facts of a container that another service left
   * @param offers the tokens that the other service kept for it
   */
  constructor(
    parts: SetUpParts,
    settled: Pick<ContainerFacts, 'startValues' | 'isReady'> = {},
    offers: readonly HandedOffer[] = [],
  ) {
    this.#parts = parts;
    this.#candidates = new Candidates(offers);
    this.#startValues = settled.startValues;
    if (settled.isReady) this.#ready = Promise.resolve();
  }

  /** Tokens that wait for the start values. */
  get offers(): readonly HandedOffer[] {
    return this.#candidates.waiting;
  }

  /**
   * The stored versions of its user's files.
   * @throws {ServiceError} `config.none`
   */
  get history(): ConfigHistory {
    return this.#parts.config.historyOf(this.#startValues?.userId);
  }

  /**
   * Tells its programs when the host will end, in ISO 8601; undefined: it will not end.
   * @throws {ServiceError} `host.filesystem`
   */
  async tellEnding(at: string | undefined): Promise<void> {
    const { mappings, lifetime } = this.#parts;
    // Nothing is written to a container whose end has begun.
    if (lifetime.signal.aborted) return;
    const told = at === undefined ? mappings.remove('ending') : mappings.write({ ending: at });
    await lifetime.track('telling its end', told);
  }

  /** Saves the changes of its user's files at once. Resolves when that was attempted. */
  async checkpoint(): Promise<void> {
    await this.#parts.config.checkpoint();
  }

  /** Handles the start values of the webserver. Repeating them has no effect. @throws {ServiceError} `container.*` */
  assign(values: StartValues): Promise<void> {
    const turn = this.#turn.then(() => this.#assign(values));
    this.#turn = turn.catch(() => {});
    return this.#parts.lifetime.track('start values', turn);
  }

  async #assign(values: StartValues): Promise<void> {
    const { mappings, port, state, note } = this.#parts;
    this.#checkServes();
    if (!values.clientAppAuthSecret) throw new ServiceError('container.no_client_secret', {});
    if (this.#startValues) {
      if (sameStartValues(this.#startValues, values)) return;
      throw new ServiceError('container.other_start_values', { port });
    }
    await mappings.write({ DPI: values.dpi, ContainerARN: values.containerArn });
    this.#checkServes();
    note({ startValues: values });
    state.move('assigned', { code: 'assigned', text: 'the start values arrived' });
    this.#startValues = values;
    const proven = this.#candidates.settle(values);
    if (proven) void this.#makeReadyLater(proven);
  }

  /**
   * Handles a token of a client app. Resolves when the container is ready, or, before the start values have arrived,
   * when the token is kept.
   * @param mayKeep whether an unproven token may be kept
   * @throws {ServiceError} `container.*`
   */
  async offer(offer: TokenOffer, mayKeep = true): Promise<'ready' | 'kept'> {
    const { port } = this.#parts;
    this.#checkServes();
    if (!offer.configEncryptionToken) throw new ServiceError('container.empty_token', {});
    if (this.#startValues) {
      if (!proves(offer, this.#startValues)) throw new ServiceError('container.token_mismatch', { port });
      await this.#makeReady(offer);
      return 'ready';
    }
    if (mayKeep && this.#candidates.keep(offer)) return 'kept';
    throw new ServiceError('container.too_many_tokens', { port });
  }

  /** Runs once; after a failure, the client app may call again. */
  #makeReady(offer: TokenOffer): Promise<void> {
    const attempt = async () => {
      try {
        await this.#furnish(offer);
      } catch (error) {
        this.#ready = undefined;
        throw error;
      }
    };
    this.#ready ??= this.#parts.lifetime.track('making it ready', attempt());
    return this.#ready;
  }

  async #furnish({ userId, configEncryptionToken }: TokenOffer): Promise<void> {
    const { config, mappings, state, note } = this.#parts;
    const outcome = await config.furnish(userId, configEncryptionToken);
    await mappings.write({ userConfig: outcome });
    await mappings.write({ '.ready': '.ready' });
    this.#checkServes();
    note({ isReady: true });
    state.move('ready', { code: 'furnished', text: `both set-up calls arrived; user config: ${outcome}` });
  }

  /** For a token that came before the start values: its call was answered long ago. */
  async #makeReadyLater(offer: TokenOffer): Promise<void> {
    try {
      await this.#makeReady(offer);
    } catch (error) {
      this.#parts.log.error(
        { error, source: offer.source },
        'could not make the container ready; its client app must call again',
      );
    }
  }

  #checkServes(): void {
    if (!this.#parts.state.serves)
      throw new ServiceError('container.unknown_port', { port: this.#parts.port });
  }
}
