/**
 * What a change in EchoStream asks for. Which nodes there are to be is asked of EchoStream anew each time, so a change only
 * says whether that is needed, and which programs have to read their config again by a restart.
 */

import type { Change } from '../../packages/echostream-node/src/echostream-node.ts';
import type { ManagedNodeAnswer } from './managed-app.ts';

export interface Reaction {
  /** Whether it is one of the changes that concern nodes of this app. */
  readonly concerns: boolean;
  /** Nodes to be restarted, unless they are replaced anyway. */
  readonly restart: readonly string[];
  /** Whether the app itself is gone. */
  readonly isAppRemoved?: true;
}

const NONE: Reaction = { concerns: false, restart: [] };
const LOOK: Reaction = { concerns: true, restart: [] };

type Place = { readonly app: string; readonly nodes: readonly ManagedNodeAnswer[] };

export function reactionTo(change: Change, place: Place): Reaction {
  const react = REACTIONS[(change.new ?? change.old)?.type ?? ''];
  return react ? react(change, place) : NONE;
}

/** By the type of the resource. */
const REACTIONS: Readonly<Record<string, (change: Change, place: Place) => Reaction>> = {
  Tenant: (change, { nodes }) => (isEdit(change) ? restarting(nodes) : NONE),
  ManagedApp: (change, { app, nodes }) => {
    if (attributeOf(change, 'name') !== app) return NONE;
    if (isRemoval(change)) return { ...LOOK, isAppRemoved: true };
    return isEdit(change) ? restarting(nodes) : NONE;
  },
  ManagedNode: (change, { app, nodes }) => {
    if (attributeOf(change, 'app') !== app) return NONE;
    if (isRemoval(change) || !isEdit(change)) return LOOK;
    return restarting(nodes.filter(({ name }) => name === attributeOf(change, 'name')));
  },
  ManagedNodeType: (change) => (isEdit(change) && differs(change, 'imageUri') ? LOOK : NONE),
  MessageType: (change, { nodes }) => {
    if (!isEdit(change) || !differs(change, 'auditor')) return NONE;
    const type = attributeOf(change, 'name');
    const users = nodes.filter(({ receiveMessageType, sendMessageType }) =>
      [receiveMessageType?.name, sendMessageType?.name].includes(String(type)),
    );
    return restarting(users);
  },
  Edge: (change, { nodes }) => {
    if (isEdit(change)) return NONE;
    const ends = [attributeOf(change, 'source'), attributeOf(change, 'target')];
    return restarting(nodes.filter(({ name }) => ends.includes(name)));
  },
};

function restarting(nodes: readonly ManagedNodeAnswer[]): Reaction {
  return { concerns: true, restart: nodes.map(({ name }) => name) };
}

function isEdit({ new: now, old }: Change): boolean {
  return Boolean(now && old);
}

function isRemoval({ new: now }: Change): boolean {
  return !now || Boolean(now.removed);
}

function attributeOf({ new: now, old }: Change, attribute: string): unknown {
  return (now ?? old)?.[attribute];
}

function differs({ new: now, old }: Change, attribute: string): boolean {
  return now?.[attribute] !== old?.[attribute];
}
