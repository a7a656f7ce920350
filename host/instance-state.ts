/**
 * Shows the state of the service in the instance's EC2 tags, and terminates the instance if it must end with the
 * service. A newer request cancels the attempts for an older one. Failures here do not affect the rest of the service.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { ServiceError } from '../errors/service-error.ts';
import { type Backoff, backoff } from '../lifetime/backoff.ts';
import { unlessAborted, withDeadline } from '../lifetime/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import { isRefusal, whyOf } from './aws-failures.ts';
import type { Ec2 } from './ec2.ts';
import { describeThisMachine, type HostFacts, type Metadata } from './metadata.ts';

/** Between attempts. */
const PAUSE: Backoff = { shortest: 200, longest: 5000 };

/**
 * The maximum length of a tag's value, and characters that it must not contain. Source: the tag restrictions of EC2 and
 * of other services.
 */
const LONGEST_VALUE = 256;
const REFUSED = /^aws:|[^\p{L}\p{N}\p{Zs}_.:/=+@-]+/giu;

export interface InstanceStateOptions {
  readonly metadata: Metadata;
  readonly onDeath: 'tag' | 'terminate';
  /** Of an EC2 service other than Amazon's. */
  readonly endpoint: URL | undefined;
  readonly log: Logger;
}

interface Request {
  /** What EC2 is asked to do, as in "EC2 did not …". */
  readonly what: string;
  /** The permission that it needs. */
  readonly action: `ec2:${string}`;
  readonly ask: (ec2: Ec2, instanceId: string, signal: AbortSignal) => Promise<void>;
}

/**
 * Each method takes its time limit in milliseconds. It retries until then, unless EC2 refuses. None rejects; failures
 * are logged.
 */
export class InstanceState {
  readonly #options: InstanceStateOptions;
  readonly #loading: Promise<typeof import('./ec2.ts')>;
  #ec2: Ec2 | undefined;
  #latest = new AbortController();
  #isElsewhere = false;

  constructor(options: InstanceStateOptions) {
    this.#options = options;
    // Loaded at once, because there is no time for it when the service dies.
    this.#loading = import('./ec2.ts');
    this.#loading.catch(() => {});
  }

  /** @param signal aborts earlier, without a log line */
  running(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.#say('running', {}, milliseconds, signal);
  }

  draining(milliseconds: number): Promise<void> {
    return this.#say('draining', {}, milliseconds);
  }

  stopped(milliseconds: number): Promise<void> {
    return this.#say('stopped', {}, milliseconds);
  }

  /**
   * @param cause for people; must not contain secrets, because everybody who can describe the instance sees its tags
   */
  dead(cause: string, milliseconds: number): Promise<void> {
    return this.#say('dead', { 'ecs-host-service:cause': tagValue(cause) }, milliseconds);
  }

  /** Does nothing unless ON_DEATH is `terminate`. */
  async terminate(milliseconds: number): Promise<void> {
    if (this.#options.onDeath !== 'terminate') return;
    const ask: Request['ask'] = (ec2, instanceId, signal) => ec2.terminate(instanceId, signal);
    const what = 'terminate this instance';
    await this.#attempt({ what, action: 'ec2:TerminateInstances', ask }, milliseconds);
  }

  /** Aborts what is in progress and closes all connections. */
  close(): void {
    this.#latest.abort();
    this.#ec2?.close();
  }

  #say(
    state: string,
    more: Readonly<Record<string, string>>,
    milliseconds: number,
    given?: AbortSignal,
  ): Promise<void> {
    const tags = { 'ecs-host-service:state': state, ...more };
    const ask: Request['ask'] = (ec2, instanceId, signal) => ec2.tag(instanceId, tags, signal);
    const what = `tag this instance as ${state}`;
    return this.#attempt({ what, action: 'ec2:CreateTags', ask }, milliseconds, given);
  }

  async #attempt(request: Request, milliseconds: number, given?: AbortSignal): Promise<void> {
    this.#latest.abort();
    this.#latest = new AbortController();
    const { signal: outdated } = this.#latest;
    const over = given ? AbortSignal.any([outdated, given]) : outdated;
    let failure: unknown;
    try {
      await withDeadline(milliseconds, 'asking', async (late) => {
        const signal = AbortSignal.any([late, over]);
        for (let failures = 0; ; failures++) {
          try {
            return await unlessAborted(this.#ask(request, signal), signal);
          } catch (error) {
            signal.throwIfAborted();
            failure = error;
            if (isRefusal(error)) throw error;
          }
          await pause(backoff(failures, PAUSE), undefined, { signal });
        }
      });
    } catch (error) {
      if (!over.aborted) this.#tell(request, failure ?? error);
    }
  }

  async #ask({ what, ask }: Request, signal: AbortSignal): Promise<void> {
    const { metadata, endpoint, log } = this.#options;
    const facts = await metadata.facts();
    if (!isInstance(facts)) return this.#tellElsewhere();
    const { Ec2 } = await this.#loading;
    signal.throwIfAborted();
    this.#ec2 ??= new Ec2(facts.region, endpoint);
    await ask(this.#ec2, facts.instanceId, signal);
    log.info({ instanceId: facts.instanceId }, `EC2 accepted the request to ${what}`);
  }

  #tell({ what, action }: Request, failure: unknown): void {
    const error = new ServiceError('instance.failed', { what, why: whyOf(failure), action });
    this.#options.log.error({ error }, error.message);
  }

  #tellElsewhere(): void {
    if (!this.#isElsewhere) this.#options.log.warn('this is not an EC2 instance, so ON_DEATH has no effect');
    this.#isElsewhere = true;
  }
}

function isInstance({ instanceId, region }: HostFacts): boolean {
  return /^i-[0-9a-f]+$/.test(instanceId) && region !== describeThisMachine().region;
}

function tagValue(text: string): string {
  // The second replacement removes half of a surrogate pair that the cut may leave.
  return text.replace(REFUSED, ' ').trim().slice(0, LONGEST_VALUE).replace(REFUSED, '');
}
