/** The labels that identify the containers of nodes, even after the service has lost its memory. */

import { HOST_ID, ROLE } from '../../container/labels.ts';
import type { Labels } from '../../docker-engine/answers.ts';
import { isRecord } from '../../parsing/json.ts';
import type { HostPort, NodeContainer } from '../plan/node-container.ts';

const PREFIX = 'ecs-host-service.node';
const APP = `${PREFIX}.app`;
const NAME = `${PREFIX}.name`;
const SPEC = `${PREFIX}.spec`;
const DIGEST = `${PREFIX}.digest`;
const PORTS = `${PREFIX}.ports`;
const HAND_OVER = `${PREFIX}.hand-over`;
/**
 * Unique to each container. An image that is committed from a node's container has the same label. Containers made from
 * that image inherit it, so their labels are ignored.
 */
const ID = `${PREFIX}.id`;

const NODE = 'node';

export interface Owner {
  readonly hostId: string;
  readonly app: string;
}

/** The facts about a node that the labels of its container hold. */
export type Labelled = Pick<NodeContainer, 'node' | 'hash' | 'digest' | 'ports'> & {
  readonly labelId: string;
  /** The file that completes its hand-over. */
  readonly handOverFile?: string | undefined;
};

export function labelsOf({ hostId, app }: Owner, labelled: Labelled): Labels {
  const { node, hash, digest, ports, labelId, handOverFile } = labelled;
  return {
    [HOST_ID]: hostId,
    [ROLE]: NODE,
    [APP]: app,
    [NAME]: node,
    [SPEC]: hash,
    [DIGEST]: digest,
    [PORTS]: JSON.stringify(ports),
    [ID]: labelId,
    ...(handOverFile !== undefined && { [HAND_OVER]: handOverFile }),
  };
}

/**
 * A container from before the app was renamed belongs to its node too, but it matches no spec: it is in the network of
 * the app's former name.
 * @returns undefined if the container does not belong to a node of this host
 */
export function readLabels({ hostId, app }: Owner, labels: Labels): Labelled | undefined {
  const { [APP]: madeFor, [NAME]: node, [SPEC]: made, [DIGEST]: digest, [ID]: labelId } = labels;
  if (labels[HOST_ID] !== hostId || labels[ROLE] !== NODE) return undefined;
  if (!madeFor || !node || !made || !digest || !labelId) return undefined;
  const hash = madeFor === app ? made : `${made} of ${madeFor}`;
  const { [PORTS]: ports, [HAND_OVER]: handOverFile } = labels;
  return { node, hash, digest, labelId, ports: portsIn(ports), handOverFile };
}

/** @returns the labels for a copy of a container of a node */
export function labelsOfCopy(labels: Labels, labelId: string): Labels {
  return { ...labels, [ID]: labelId };
}

export function labelIdOf(labels: Labels): string | undefined {
  return labels[ID];
}

/** Returns Docker's label filters for the containers of all nodes of this host. */
export function filterOf(hostId: string): string[] {
  return [`${HOST_ID}=${hostId}`, `${ROLE}=${NODE}`];
}

function portsIn(text = '[]'): HostPort[] {
  try {
    const found: unknown = JSON.parse(text);
    return Array.isArray(found) ? found.flatMap((one) => (isHostPort(one) ? [one] : [])) : [];
  } catch {
    return [];
  }
}

function isHostPort(one: unknown): one is HostPort {
  if (!isRecord(one)) return false;
  const { port, protocol, address } = one;
  return typeof port === 'number' && typeof protocol === 'string' && typeof address === 'string';
}
