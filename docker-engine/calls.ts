/** The names of the service's own calls to the Docker Engine, and how an observer learns about them. */

/** The texts that errors use for the calls. */
export const CALLS = {
  ping: 'answer a ping',
  version: 'say its version',
  info: 'describe itself',
  create: 'create the container',
  start: 'start the container',
  stop: 'stop the container',
  remove: 'remove the container',
  restart: 'restart the container',
  rename: 'rename the container',
  update: 'change the restart policy of the container',
  inspect: 'inspect the container',
  inspect_any: 'inspect a container',
  inspect_image: 'inspect an image',
  inspect_volume: 'inspect a volume',
  inspect_network: 'inspect a network',
  list_networks: 'list the networks',
  create_network: 'create a network',
  inspect_distribution: 'ask a registry for the digest of an image',
  list_images: 'list the images',
  remove_image: 'remove an image',
  pull: 'pull the image',
  exec_create: 'prepare a program in the container',
  exec_start: 'start a program in the container',
  exec_inspect: 'inspect a program in the container',
  exec_resize: 'resize a terminal in the container',
  list: 'list the containers',
  list_any: 'list all containers',
  events: 'open its event stream',
  logs: 'read the log of the container',
  stats: 'say what the container uses',
} as const;

export type DockerCall = keyof typeof CALLS;

export interface ObservedCall {
  readonly call: DockerCall;
  /** The time until the answer or the failure. */
  readonly milliseconds: number;
  readonly isFailed: boolean;
}

/** Must not throw. */
export type CallObserver = (observed: ObservedCall) => void;

/**
 * Measures how long `work` takes. It ignores work that failed because it was aborted, because its time says nothing
 * about Docker.
 */
export async function observing<T>(
  call: DockerCall,
  observe: CallObserver,
  work: () => Promise<T>,
  givenUp: AbortSignal | undefined,
): Promise<T> {
  const beginning = performance.now();
  const tell = (isFailed: boolean) =>
    observe({ call, milliseconds: performance.now() - beginning, isFailed });
  try {
    const answer = await work();
    tell(false);
    return answer;
  } catch (error) {
    if (!givenUp?.aborted) tell(true);
    throw error;
  }
}
