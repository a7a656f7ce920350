/**
 * The data about a container that one service gives to the next in a hand-over, in addition to the ledger. After a
 * crash, the ledger is enough to adopt a container. With this data, the container also keeps its state, its clocks, its
 * receipt, and the tokens that wait for its start values.
 *
 * The data contains secrets of client apps. Times without a date are from `monotonic`.
 */

import { type Static, Type } from 'typebox';
import { CHECK_HEALTHS } from '../docker-engine/answers.ts';
import { PORT_HEALTHS } from './health.ts';
import { CAUSE_CODES, STATES } from './state.ts';

const Time = Type.String({ format: 'date-time' });
const ContainerIdText = Type.String({ pattern: '^[0-9a-f]{60}$' });
const DockerIdText = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Code = Type.Enum([...CAUSE_CODES]);

export const HandedOffer = Type.Object({
  offer: Type.Object({
    userId: Type.String(),
    clientAppAuthSecret: Type.String(),
    configEncryptionToken: Type.String(),
    source: Type.String(),
  }),
  until: Type.Number(),
});

export const HandedReceipt = Type.Object({
  states: Type.Array(
    Type.Object({
      state: Type.Enum([...STATES]),
      at: Time,
      code: Type.Optional(Code),
      cause: Type.Optional(Type.String()),
    }),
    { minItems: 1 },
  ),
  warnings: Type.Array(Type.Object({ at: Time, code: Type.String(), text: Type.String() })),
  resources: Type.Array(
    Type.Object({
      kind: Type.String(),
      what: Type.String(),
      allotted: Time,
      released: Type.Optional(Time),
      seen: Type.Optional(Type.String()),
      failed: Type.Optional(Type.String()),
    }),
  ),
});

/** The last use of a container: the time, and the number of datagrams that it had received by then. */
export const HandedUse = Type.Object({ used: Type.Number(), datagrams: Type.Optional(Type.Number()) });

export const HandedContainer = Type.Object({
  id: ContainerIdText,
  state: Type.Enum(['created', 'running', 'assigned', 'ready']),
  began: Time,
  since: Time,
  /** When it entered its present state. */
  entered: Type.Number(),
  sharesNetwork: Type.Boolean(),
  /** Tokens that arrived before the start values. */
  offers: Type.Array(HandedOffer),
  use: Type.Optional(HandedUse),
  health: Type.Optional(
    Type.Object({
      docker: Type.Optional(Type.Enum([...CHECK_HEALTHS])),
      port: Type.Optional(Type.Enum([...PORT_HEALTHS])),
      since: Time,
    }),
  ),
  receipt: HandedReceipt,
  /** Why its end has begun. The next service ends it. */
  ending: Type.Optional(Type.Object({ code: Code, text: Type.String() })),
});

/** A Docker container that is kept for a while after its hosted container has ended. */
export const HandedKept = Type.Object({
  id: ContainerIdText,
  dockerId: DockerIdText,
  /** When it is to be removed. */
  until: Type.Number(),
});

export type HandedOffer = Static<typeof HandedOffer>;
export type HandedReceipt = Static<typeof HandedReceipt>;
export type HandedUse = Static<typeof HandedUse>;
export type HandedContainer = Static<typeof HandedContainer>;
export type HandedKept = Static<typeof HandedKept>;
export type HandedPools = Static<typeof HandedPools>;

/** The pools of warm containers, and the containers that wait in them. */
export const HandedPools = Type.Object({
  pools: Type.Array(
    Type.Object({
      name: Type.String(),
      /** The body of the call that created it, or its part of the file of pools. It may contain secrets. */
      asked: Type.Unknown(),
      isPermanent: Type.Boolean(),
      appImage: Type.String(),
      /** The name of its image on this host, if it is known. */
      image: Type.Optional(Type.String()),
    }),
  ),
  warm: Type.Array(
    Type.Object({
      id: ContainerIdText,
      pool: Type.String(),
      shape: Type.String(),
      /** The id of the image that it was created from. */
      image: Type.String(),
      since: Type.Number(),
    }),
  ),
});

/** All containers in a hand-over, and the ids of the terminals in them that keep running. */
export interface Handed {
  readonly containers: readonly HandedContainer[];
  readonly kept: readonly HandedKept[];
  readonly spared?: ReadonlySet<string>;
}

export const NOTHING_HANDED: Handed = { containers: [], kept: [] };
