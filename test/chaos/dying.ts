/**
 * A service that really dies: at a step of a container's life or of its own, as the ledger counts them, or after some
 * milliseconds. The first argument says how and when. Just before it dies, it reports that on stderr.
 */

import { execFileSync } from 'node:child_process';
import { runService } from '../../src/main.ts';
import { concerned, type Observer } from '../../src/observe.ts';
import type { Death, Way } from './plan.ts';

const death: Death = JSON.parse(process.argv[2] ?? '{}');

const signal = (name: string) => () => void execFileSync('sh', ['-c', `kill -${name} $PPID; sleep 60`]);

const WAYS: Readonly<Record<Way, () => void>> = {
  SIGKILL: signal('KILL'),
  SIGSEGV: signal('SEGV'),
  SIGABRT: signal('ABRT'),
  SIGSTOP: signal('STOP'),
  hang: () => {
    for (;;);
  },
  heap: () => {
    for (const all: unknown[] = []; ; ) all.push(Array.from({ length: 100_000 }, Math.random));
  },
  throw: () => {
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
  },
};

function die(what: string): void {
  process.stderr.write(`dying ${JSON.stringify({ at: Date.now(), what })}\n`);
  WAYS[death.way]();
}

/** The first container is the one in use. */
let subject: string | undefined;
let steps = 0;
let ownSteps = 0;
const observer: Observer = {
  step: (name) => {
    if (name !== 'heartbeats' || death.after === undefined) return;
    setTimeout(() => die(`after ${death.after} ms`), death.after).unref();
  },
  holding: ({ step, holding: { kind, owner } }) => {
    const { container } = concerned(owner);
    if (container === undefined && ++ownSteps === death.ownStep) die(`${step} ${kind}`);
    subject ??= container;
    if (container === undefined || container !== subject) return;
    steps += 1;
    if (steps === death.step) die(`${step} ${kind}`);
  },
};

await runService(process.env, observer);
process.stderr.write(`steps ${steps}\n`);
