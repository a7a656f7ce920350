/** The events of a container's creation: the progress of the image pull, and finally the container. */

import type { ContainerView } from '../../container/view.ts';
import type { PullNews } from '../../docker-engine/image-pulls.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { problemOf } from '../error-bodies.ts';
import type { Sent } from './event-stream.ts';

/** A new container. If the host has pools and the request has start values, the view says how the two were matched. */
export type CreatedView = ContainerView & {
  readonly warm?: { readonly pool: string } | { readonly why: string };
};

/**
 * Keeps only the newest progress until it is read.
 * @param make receives a function to report the progress of a pull
 * @throws what `make` throws before the first event
 */
export async function tellMaking(
  make: (tell: (news: PullNews) => void) => Promise<CreatedView>,
): Promise<AsyncGenerator<Sent>> {
  let newest: PullNews | undefined;
  let more = Promise.withResolvers<void>();
  const tell = (news: PullNews) => {
    newest = news;
    more.resolve();
  };
  const made = make(tell);
  const over = made.then(
    (data): Sent => ({ event: 'created', data }),
    (error): Sent => ({ event: 'failed', data: problemOf(told(error)) }),
  );
  let end: Sent | undefined;
  void over.then((last) => {
    end = last;
    more.resolve();
  });
  await more.promise;
  if (!newest) await made;
  return (async function* () {
    for (;;) {
      more = Promise.withResolvers();
      if (newest) {
        const { event, data } = newest;
        newest = undefined;
        // A failed pull also fails the creation, which reports it.
        if (event !== 'failed') yield { event, data };
      } else if (end) {
        yield end;
        return;
      } else await more.promise;
    }
  })();
}

function told(error: unknown): ServiceError {
  return error instanceof ServiceError ? error : new ServiceError('internal', {}, { cause: error });
}
