/**
 * Decides how the service reacts to a change in EchoStream. The service always asks EchoStream for the wanted nodes
 * again, so a change tells only whether it must ask, and which programs must restart to read their config again.
 */

import type { Change } from '../../packages/echostream-node/src/echostream-node.ts';
import type { ManagedNodeAnswer } from './managed-app.ts';

export interface Reaction {
  /** Whether the change concerns nodes of this app. */
  readonly concerns: boolean;
  /** Nodes to restart, unless they are replaced anyway. */
  readonly restart: readonly string[];
  /** Set if the app itself was removed. */
  readonly isAppRemoved?: true;
}

const NONE: Reaction = { concerns: false, restart: [] };
const LOOK: Reaction = { concerns: true, restart: [] };

type Place = { readonly app: string; readonly nodes: readonly ManagedNodeAnswer[] };

export function reactionTo(change: Change, place: Place): Reaction {
  const react = REACTIONS[(change.new ?? change.old)?.type ?? ''];
  return react ? react(change, place) : NONE;
}

/** The reaction for each type of resource. */
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
