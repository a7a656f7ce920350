/** The routes about the images of this host. */

import type { PullNews } from '../../docker-engine/image-pulls.ts';
import { referenceOf } from '../../docker-engine/image-reference.ts';
import { problemOf } from '../error-bodies.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import type { Sent } from './event-stream.ts';
import { ImagePull } from './image-schemas.ts';
import type { Routes } from './routes.ts';

/** @param closing aborts when the server closes */
export function addImageRoutes(routes: Routes, gate: Gate<Hosting>, closing: AbortSignal): void {
  routes.stream('/images/pull', closing, {
    method: 'POST',
    summary: 'Pull an image, and follow its progress, as server-sent events',
    description:
      'The data of an event `progress` is a PullProgress, always the newest. The last event is `pulled`, with a PulledImage, or `failed`, with a Problem. An error before there is any progress is the answer to the request. Requests for the same image, platform and credentials share one pull. The pull is cancelled when the last of them has left.',
    body: ImagePull,
    handle: async ({ body: { image, ...request } }, signal) =>
      asSent(await gate.check().pulls.follow({ ...request, reference: referenceOf(image) }, signal)),
  });
}

async function* asSent(news: AsyncIterable<PullNews>): AsyncGenerator<Sent> {
  for await (const { event, data } of news) {
    yield { event, data: event === 'failed' ? problemOf(data) : data };
  }
}
