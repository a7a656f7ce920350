/**
 * Decides whether a new container may replace the old one. Docker's health check decides. Without a health check, the
 * time that the container has run decides.
 */

import type { NodeSpec } from '../spec/node-spec.ts';
import type { NodeContainer } from './node-container.ts';

const HEALTHY_AFTER = 10;
const DEADLINE = 300;

export type Verdict =
  | { readonly is: 'good' | 'start' | 'paused' }
  | { readonly is: 'bad'; readonly why: string }
  | { readonly is: 'open'; readonly until: number };

/**
 * @param heardSince milliseconds; an earlier exit proves nothing, because Docker may have stopped and ended the
 * container
 */
export function judge(
  candidate: NodeContainer,
  { update = {} }: NodeSpec,
  now: number,
  heardSince: number,
): Verdict {
  const { state, health, started = now, ended = 0, exitCode = 0 } = candidate;
  const { healthyAfter = HEALTHY_AFTER, deadline = DEADLINE } = update;
  if (state === 'restarting') return { is: 'bad', why: 'it exits again and again' };
  if (state === 'exited' && ended > heardSince) return { is: 'bad', why: `it exited with code ${exitCode}` };
  if (state === 'exited' || state === 'created') return { is: 'start' };
  if (state === 'paused') return { is: 'paused' };
  if (health === 'healthy') return { is: 'good' };
  if (health === 'unhealthy') return { is: 'bad', why: 'its health check failed' };
  const isChecked = health === 'starting';
  const until = started + (isChecked ? deadline : healthyAfter) * 1000;
  if (now < until) return { is: 'open', until };
  return isChecked
    ? { is: 'bad', why: `its health check did not succeed within ${deadline} seconds` }
    : { is: 'good' };
}
