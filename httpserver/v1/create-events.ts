/** How the making of a container is told to who asks for events: how far the pull of its image is, and at last the container. */

import type { ContainerView } from '../../container/view.ts';
import type { PullNews } from '../../docker-engine/image-pulls.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { problemOf } from '../error-bodies.ts';
import type { Sent } from './event-stream.ts';

/**
 * Of what is told only the newest is kept until it is taken.
 * @param make is given whom to tell how far a pull is
 * @throws what `make` does when it has told nothing before
 */
export async function tellMaking(
  make: (tell: (news: PullNews) => void) => Promise<ContainerView>,
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
        // A pull that fails is the failure of all.
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
