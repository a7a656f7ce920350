/** The labels by which a service knows the containers of its nodes, also after it has lost its memory. */

import { HOST_ID, ROLE } from '../../container/labels.ts';
import type { Labels } from '../../docker-engine/answers.ts';
import { isRecord } from '../../parsing/json.ts';
import type { HostPort, NodeContainer } from '../plan/world.ts';

const PREFIX = 'ecs-host-service.node';
const APP = `${PREFIX}.app`;
const NAME = `${PREFIX}.name`;
const SPEC = `${PREFIX}.spec`;
const DIGEST = `${PREFIX}.digest`;
const PORTS = `${PREFIX}.ports`;
/** Of the container alone. An image that was made of it gives it to others, whose labels say nothing then. */
const ID = `${PREFIX}.id`;

const NODE = 'node';

export interface Owner {
  readonly hostId: string;
  readonly app: string;
}

/** What a container says of itself. */
export type Labelled = Pick<NodeContainer, 'node' | 'hash' | 'digest' | 'ports'> & {
  readonly labelId: string;
};

export function labelsOf({ hostId, app }: Owner, labelled: Labelled): Labels {
  const { node, hash, digest, ports, labelId } = labelled;
  return {
    [HOST_ID]: hostId,
    [ROLE]: NODE,
    [APP]: app,
    [NAME]: node,
    [SPEC]: hash,
    [DIGEST]: digest,
    [PORTS]: JSON.stringify(ports),
    [ID]: labelId,
  };
}

/** @returns undefined when it is not the container of a node of this host and app */
export function readLabels({ hostId, app }: Owner, labels: Labels): Labelled | undefined {
  const { [NAME]: node, [SPEC]: hash, [DIGEST]: digest, [ID]: labelId } = labels;
  if (labels[HOST_ID] !== hostId || labels[ROLE] !== NODE || labels[APP] !== app) return undefined;
  if (!node || !hash || !digest || !labelId) return undefined;
  return { node, hash, digest, labelId, ports: portsIn(labels[PORTS]) };
}

export function labelIdOf(labels: Labels): string | undefined {
  return labels[ID];
}

/** Docker's filters for the containers of all nodes of this host. */
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
