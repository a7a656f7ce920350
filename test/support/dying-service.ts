/**
 * The service with a fault. The first argument names the fault. A fault that must occur at a moment of the test's choice occurs
 * on SIGURG.
 */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { runService } from '../../src/main.ts';
import type { Observer } from '../../src/observe.ts';

const [fault = '', detail = ''] = process.argv.slice(2);

/** Takes the identifying port after it was allotted and before Docker binds it. */
const thief = createServer();

/** Listens from the start: the test sends the signal when it sees the log line, which comes before the fault. */
const urged = fault === 'release-waits' ? once(process, 'SIGURG') : undefined;

/** For faults in the observer's results. */
const OBSERVERS: Readonly<Record<string, Observer>> = {
  'step-fails': {
    step: (name) => {
      if (name === detail) throw new Error(`${name} fails on purpose`);
    },
  },
  'taking-fails': {
    holding: ({ step, holding }) => {
      if (step === 'taking' && holding.kind === detail) throw new Error(`${detail} fails on purpose`);
    },
  },
  handles: {
    step: (name) => {
      if (name !== 'containers') return;
      createServer().listen(0, '127.0.0.1');
      setInterval(function leftOnPurpose() {}, 60_000);
    },
  },
  'port-thief': {
    holding: ({ step, holding }) => {
      if (step === 'taking' && holding.kind === 'docker container' && !thief.listening) thief.listen(32262);
      if (step === 'releasing' && holding.kind === 'listener') thief.close();
    },
  },
  'throws-while-ending': {
    holding: ({ step, holding }) => {
      if (step !== 'releasing' || holding.kind !== 'listener') return;
      setImmediate(() => {
        throw new Error('thrown on purpose');
      });
    },
  },
  'rejects-in-step': {
    step: (name) => {
      if (name === detail) void Promise.reject(new Error('rejected on purpose'));
    },
  },
  stalls: {
    step: (name) => (name === detail ? new Promise(() => {}) : undefined),
  },
  'release-waits': {
    holding: async ({ step, holding }) => {
      if (step === 'releasing' && holding.kind === detail) await urged;
    },
  },
  'step-waits': {
    step: async (name) => {
      if (name !== detail) return;
      process.stderr.write('waiting\n');
      const alive = setInterval(() => {}, 60_000);
      await once(process, 'SIGURG');
      clearInterval(alive);
    },
  },
};

/** The error of the clock, in milliseconds. */
let wrong = 0;
const YEAR = 365 * 86_400_000;

function jump(): void {
  wrong = wrong > 0 ? -YEAR : wrong + YEAR;
  process.stderr.write('jumped\n');
}

/** For faults of the process. */
const FAULTS: Readonly<Record<string, () => void>> = {
  throw: () =>
    process.on('SIGURG', () => {
      throw new Error(process.env[detail] ?? 'thrown on purpose');
    }),
  rejection: () => process.on('SIGURG', () => void Promise.reject(new Error('rejected on purpose'))),
  'clock-jumps': () => {
    const Right = Date;
    globalThis.Date = class extends Right {
      constructor(...given: [] | [number]) {
        if (given.length === 0) super(Right.now() + wrong);
        else super(...given);
      }

      static override now(): number {
        return Right.now() + wrong;
      }
    } as DateConstructor;
    process.on('SIGURG', jump);
  },
  blocks: () =>
    process.on('SIGURG', () => {
      for (;;);
    }),
  'not-root': () => {
    process.getuid = () => 1000;
  },
};

FAULTS[fault]?.();
await runService(process.env, OBSERVERS[fault]);
