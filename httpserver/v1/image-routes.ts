/** The images of this host, for operators. */

import type { PullNews } from '../../container/image-pulls.ts';
import { referenceOf } from '../../container/image-reference.ts';
import { problemOf } from '../error-bodies.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import type { Sent } from './event-stream.ts';
import { ImagePull } from './image-schemas.ts';
import type { Routes } from './routes.ts';

/** @param closing aborts when the server does */
export function addImageRoutes(routes: Routes, gate: Gate<Hosting>, closing: AbortSignal): void {
  routes.stream('/images/pull', closing, {
    method: 'POST',
    summary: 'Pull an image, and tell how far that is, as server-sent events',
    description:
      'The data of each event `progress` is a PullProgress, the newest that there is; the last event is `pulled`, a PulledImage, or `failed`, a Problem. What goes wrong before there is progress is answered as a problem. Who asks for the same image, platform and credentials waits for the same pull; it is given up when the last one has left.',
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
