/**
 * The routes by which operators create containers and set them up. They use the same code as the predecessor's three
 * calls.
 */

import type { IncomingHttpHeaders } from 'node:http';
import { capacityOf, type Capacity as Room } from '../../container/capacity.ts';
import type { HostedContainer } from '../../container/container.ts';
import { allowedMounts } from '../../container/creation/allowed-mounts.ts';
import type { SetUp } from '../../container/set-up.ts';
import { type FindImage, type SpinUpRequest, spinUp } from '../../container/spin-up.ts';
import { takeDown } from '../../container/take-down.ts';
import type { Tracker } from '../../container/tracker.ts';
import type { PullNews } from '../../docker-engine/image-pulls.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { readMemory } from '../../host/memory.ts';
import type { Gate } from '../gate.ts';
import type { Hosted, Hosting } from '../hosting.ts';
import { type CreatedView, tellMaking } from './create-events.ts';
import {
  ConfigToken,
  Created,
  CreateHeaders,
  CreateQuery,
  NewContainer,
  StartValues,
} from './create-schemas.ts';
import type { Idempotency } from './idempotency.ts';
import type { Routes } from './routes.ts';
import { ById, Capacity, Container } from './schemas.ts';

interface AskedToCreate {
  readonly body: NewContainer;
  readonly headers: IncomingHttpHeaders;
}

export interface CreateOptions {
  /** The directories of this host that may be mounted. */
  readonly allowedMounts: readonly string[];
  /** Shared by all servers. */
  readonly requests: Idempotency<CreatedView>;
}

export function addCreateRoutes(
  routes: Routes,
  gate: Gate<Hosting>,
  { allowedMounts: allowed, requests }: CreateOptions,
  closing: AbortSignal,
): void {
  /** @param tell called with the progress of the image pull @param gone aborts when no client waits any longer */
  const makeOnce = (
    { body, headers }: AskedToCreate,
    tell?: (news: PullNews) => void,
    gone?: AbortSignal,
  ): Promise<CreatedView> =>
    gate.pass(async (hosting) => {
      const mounts = mountsOf(body, allowed, hosting);
      const key = headers['idempotency-key'];
      return await requests.once(typeof key === 'string' ? key : undefined, body, async () => {
        const { pull = 'missing', startValues } = body;
        const request = requestOf(body, mounts);
        const give = (container: HostedContainer) => assign(container, startValues as StartValues);
        const warm = startValues && (await hosting.warm.claim(request, pull, give));
        if (warm && 'container' in warm) return { ...warm.container.view, warm: { pool: warm.pool } };
        const findImage = (image: string) => hosting.images.find(image, pull, tell, gone);
        const { view } = await make(hosting, request, startValues && give, findImage);
        return { ...view, ...(warm && { warm: { why: warm.why } }) };
      });
    });

  routes.add('POST', '/containers', {
    summary: 'Make a container and start it',
    description:
      'With the header `Idempotency-Key`, the service makes the container only once, even if you repeat the request. Until it ends, the service remembers the keys of requests in progress and of the last thousand containers. With start values, you get a container of a pool if one is ready that is the same as a new one would be; `warm` in the answer names its pool, or says why there was none. With `dryRun`, it makes nothing, and the answer says whether there is room. With `Accept: text/event-stream`, the answer has status 200 and is server-sent events: `progress` (a PullProgress) and `pulled` (a PulledImage) while the service pulls the image, and at the end `created` (a CreatedContainer) or `failed` (a Problem). A failure before the first progress is answered with a problem and its status.',
    headers: CreateHeaders,
    query: CreateQuery,
    body: NewContainer,
    answer: Created,
    status: 201,
    others: { 200: Capacity },
    handle: async (asked, answer) => {
      if (!asked.query.dryRun) return await makeOnce(asked);
      return await gate.pass(async (hosting) => {
        mountsOf(asked.body, allowed, hosting);
        return answer(200, await roomFor(hosting.tracker, asked.body));
      });
    },
    events: {
      closing,
      handle: (asked, signal) => tellMaking((tell) => makeOnce(asked, tell, signal)),
    },
  });
  routes.add('PUT', '/containers/:id/start-values', {
    summary: 'Assign a container to a user',
    description:
      'The first call fixes the values. The same call again has no effect, and other values are refused.',
    params: ById,
    body: StartValues,
    answer: Container,
    handle: ({ params, body }) =>
      gate.pass(async ({ tracker }) => {
        const container = tracker.named(params.id);
        await assign(container, body);
        return container.view;
      }),
  });
  routes.add('PUT', '/containers/:id/config-token', {
    summary: "Give a container the token that decrypts its user's files",
    description:
      'Returns when the container is ready. Before the start values arrive, the service keeps the token for two minutes and returns at once.',
    params: ById,
    body: ConfigToken,
    answer: Container,
    handle: ({ params, body }) =>
      gate.pass(async ({ tracker }) => {
        const container = tracker.named(params.id);
        await setUpOf(container).offer({ userId: '', ...body, source: 'an operator' });
        return container.view;
      }),
  });
}

export function mountsOf(
  { mounts, ports }: Pick<NewContainer, 'mounts' | 'ports'>,
  allowed: readonly string[],
  { tracker }: Hosted,
) {
  refuseTwice(ports ?? []);
  return allowedMounts(mounts ?? [], allowed, tracker.host.paths);
}

function refuseTwice(ports: NonNullable<NewContainer['ports']>): void {
  if (new Set(ports.map(({ container }) => container)).size === ports.length) return;
  throw new ServiceError('request.invalid', { part: 'body', why: '/ports has a container port twice' });
}

/** What the body asks for, except the user. */
export function requestOf(
  body: Omit<NewContainer, 'startValues'>,
  mounts: ReturnType<typeof allowedMounts>,
): SpinUpRequest {
  const { image, app, environment, cpus, memory, pids, sharedMemory, ports, gpu, console, labels } = body;
  const limits = { cpus, memory, pids, sharedMemory };
  const { timeout: protocolTimeout, idleTimeout } = body;
  const wanted = { appImage: image, appName: app, protocolTimeout, idleTimeout };
  const more = { environment, limits, mounts, ports, gpu, console, labels };
  return { ...wanted, ...more };
}

/** @param give assigns it; undefined: it stays unassigned */
async function make(
  { tracker, kept }: Hosted,
  request: SpinUpRequest,
  give: ((container: HostedContainer) => Promise<void>) | undefined,
  findImage: FindImage,
): Promise<HostedContainer> {
  const container = await spinUp(tracker, kept, request, findImage);
  try {
    await give?.(container);
    return container;
  } catch (error) {
    const why = `could not be assigned: ${messageOf(error)}`;
    await takeDown(container, tracker, why, (id) => kept.remove(id));
    throw error;
  }
}

async function assign(container: HostedContainer, values: StartValues): Promise<void> {
  const { dpi = null, containerArn = '', userId = '', clientAppAuthSecret } = values;
  await setUpOf(container).assign({ dpi, containerArn, userId, clientAppAuthSecret });
}

/** @throws {ServiceError} `container.not_running` */
export function setUpOf({ id, setUp }: HostedContainer): SetUp {
  if (!setUp) throw new ServiceError('container.not_running', { id });
  return setUp;
}

async function roomFor(tracker: Tracker, { memory }: NewContainer): Promise<Room> {
  tracker.throwIfClosed();
  const views = tracker.list().map(({ view }) => view);
  return capacityOf(tracker.host, await readMemory(), views, memory);
}
