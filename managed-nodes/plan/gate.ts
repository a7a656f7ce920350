/**
 * Decides whether a new container may replace the old one. Docker's health check decides. Without a health check, the
 * time that the container has run decides. In a hand-over, the new container itself decides by creating a file.
 */

import type { NodeSpec } from '../spec/node-spec.ts';
import type { HandOver, NodeContainer } from './node-container.ts';

const HEALTHY_AFTER = 10;
const DEADLINE = 300;
/** Milliseconds between two checks for the file, because Docker sends no events about files. */
const BETWEEN_LOOKS = 1_000;

export type Verdict =
  | { readonly is: 'good' | 'bad'; readonly why: string }
  | { readonly is: 'start' }
  | { readonly is: 'paused' }
  | { readonly is: 'open'; readonly why: string; readonly until: number };

const GOOD: Verdict = { is: 'good', why: 'the new container was accepted' };
const PROOF = 'the new container must prove itself';

/**
 * @param heardSince milliseconds; an earlier exit proves nothing, because Docker may have stopped and ended the
 * container
 * @param isOldActive whether there is a container to take over from
 */
export function judge(
  candidate: NodeContainer,
  spec: NodeSpec,
  { now, heardSince }: { readonly now: number; readonly heardSince: number },
  isOldActive: boolean,
): Verdict {
  const { state, health, started = now, ended = 0, exitCode = 0 } = candidate;
  const { healthyAfter = HEALTHY_AFTER, deadline = DEADLINE } = spec.update ?? {};
  if (state === 'restarting') return { is: 'bad', why: 'it exits repeatedly' };
  if (state === 'exited' && ended > heardSince) return { is: 'bad', why: `it exited with code ${exitCode}` };
  if (state === 'exited' || state === 'created') return { is: 'start' };
  if (state === 'paused') return { is: 'paused' };
  if (health === 'unhealthy') return { is: 'bad', why: 'its health check failed' };
  const last = started + deadline * 1000;
  if (health === 'starting')
    return now < last
      ? { is: 'open', why: PROOF, until: last }
      : { is: 'bad', why: `its health check did not succeed within ${deadline} seconds` };
  const { handOver } = candidate;
  const isHandOver = handOver && spec.update?.order === 'hand-over';
  if (isHandOver && (handOver.isComplete || isOldActive || now >= last))
    return judgeHandOver(handOver, now, last);
  if (health === 'healthy') return GOOD;
  const until = started + healthyAfter * 1000;
  return now < until ? { is: 'open', why: PROOF, until } : GOOD;
}

/** At the deadline, the old container is removed all the same, because it may have given away what it needs. */
function judgeHandOver({ file, isComplete }: HandOver, now: number, last: number): Verdict {
  if (isComplete) return GOOD;
  if (now >= last) return { is: 'good', why: `the new container did not write ${file} in time` };
  const why = `the old container runs until the new one writes ${file}`;
  return { is: 'open', why, until: Math.min(last, now + BETWEEN_LOOKS) };
}
