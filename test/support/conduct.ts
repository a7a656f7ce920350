/** How the images of the simulated Docker behave. */

import type { NodeContainer } from '../../managed-nodes/plan/node-container.ts';

/** The behaviour of an image's container: it runs, it exits, its health check reports it, or Docker refuses to start it. */
export type Conduct = 'refuses' | 'runs' | 'exits' | 'healthy' | 'unhealthy';

/** Each image has a digest for each behaviour. */
export function digestOf(image: string, conduct: Conduct): string {
  return `sha256:${image}-${conduct}`;
}

export function conductOf(digest: string): Conduct {
  return digest.split('-').at(-1) as Conduct;
}

/** @returns what has become of a container a moment after its start at `now` */
export function conducted(
  { digest, isKept }: Pick<NodeContainer, 'digest' | 'isKept'>,
  now: number,
): Partial<NodeContainer> {
  const conduct = conductOf(digest);
  if (conduct === 'runs') return { state: 'running', health: undefined };
  if (conduct === 'refuses') return { state: 'exited', ended: now + 1, exitCode: 127 };
  if (conduct !== 'exits') return { state: 'running', health: conduct };
  return isKept ? { state: 'restarting' } : { state: 'exited', ended: now + 1, exitCode: 3 };
}
