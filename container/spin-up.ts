/** Creates containers on request of an operator, or of a caller of the predecessor's spin-up call. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { HostedContainer } from './container.ts';
import type { CreateBody } from './creation/create-body.ts';
import { bodyOf, type Requested } from './creation/spin-up-body.ts';
import type { KeptContainers } from './kept-containers.ts';
import { takeDown } from './take-down.ts';
import type { Tracker } from './tracker.ts';

export interface SpinUpRequest extends Requested {
  /** Selects the user's config; not empty. */
  readonly appName: string;
  /** Seconds that the program in it waits for its first client; -1: no limit; missing: the program decides. */
  readonly protocolTimeout?: number | undefined;
  /** The identifying host port that it must have; missing: any. */
  readonly identifyingPort?: number | undefined;
  /** Seconds that it may be idle; 0: no limit; missing: the host's default. */
  readonly idleTimeout?: number | undefined;
}

/** @param image as requested @returns its name on this host, which has it from now on */
export type FindImage = (image: string) => Promise<string>;

/** How many times other ports are tried if Docker reports a port as taken. */
const ATTEMPTS = 5;

/**
 * Creates a container and starts it.
 * @param pool the pool that it is made for
 * @throws {ServiceError} when that fails; nothing is left then
 */
export async function spinUp(
  tracker: Tracker,
  kept: KeptContainers,
  request: SpinUpRequest,
  findImage: FindImage = async (image) => image,
  pool?: string,
): Promise<HostedContainer> {
  checkRequest(request);
  // Checked first, to avoid a useless pull.
  tracker.throwIfClosed();
  const appImage = await findImage(request.appImage);
  const body = await bodyOf(tracker.host.docker, tracker.host.paths, {
    ...request,
    appImage,
    anyPorts: pool !== undefined,
  });
  for (let attempt = 1; ; attempt++) {
    const container = tracker.begin({ role: 'spin-up', appName: request.appName, ...(pool && { pool }) });
    try {
      await bringUp(container, kept, body, request);
      return container;
    } catch (error) {
      const why = `could not be started: ${messageOf(error)}`;
      await takeDown(container, tracker, why, (id) => kept.remove(id));
      const portTaken = error instanceof ServiceError && error.code === 'port.taken';
      if (!portTaken || attempt === ATTEMPTS) throw error;
      tracker.host.log.warn({ why: error.message }, 'trying other ports');
    }
  }
}

async function bringUp(
  container: HostedContainer,
  kept: KeptContainers,
  body: CreateBody,
  { protocolTimeout: timeout, idleTimeout, identifyingPort, mounts: granted }: SpinUpRequest,
): Promise<void> {
  const prepared = await container.prepare(body, { timeout, idleTimeout, identifyingPort, granted });
  const id = await kept.make(container.id, prepared.body);
  await container.made(id, prepared);
  await container.start();
  void container.gone.then(() => kept.removeLater(id));
}

function checkRequest({ appName, appImage, protocolTimeout = 0 }: SpinUpRequest): void {
  if (!appName || !appImage) throw new ServiceError('create.bad_image_name', {});
  if (protocolTimeout < -1) throw new ServiceError('create.bad_timeout', { got: protocolTimeout });
}
