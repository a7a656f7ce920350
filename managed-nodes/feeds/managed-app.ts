/** The managed app as EchoStream's API returns it, and its conversion to node specs. */

import { type Static, type TSchema, Type } from 'typebox';
import { ServiceError } from '../../errors/service-error.ts';
import type { ApiQuery } from '../../packages/echostream-node/src/echostream-node.ts';
import { misfit } from '../../parsing/json.ts';
import type { NodeSpec } from '../spec/node-spec.ts';
import { whyUnusable } from '../spec/unusable.ts';
import type { UnusableNode, WantedApp } from './feed.ts';

/** GraphQL returns null for a missing value. */
const maybe = <T extends TSchema>(type: T) => Type.Optional(Type.Union([type, Type.Null()]));
const Named = Type.Object({ name: Type.String() });

const ManagedNodeAnswer = Type.Object({
  name: Type.String(),
  stopped: maybe(Type.Boolean()),
  loggingLevel: maybe(Type.String()),
  managedNodeType: Type.Object({ name: Type.String(), imageUri: Type.String() }),
  mounts: maybe(Type.Array(Type.Object({ source: maybe(Type.String()), target: Type.String() }))),
  ports: maybe(
    Type.Array(
      Type.Object({
        containerPort: Type.Integer(),
        hostAddress: maybe(Type.String()),
        hostPort: Type.Integer(),
        protocol: maybe(Type.String()),
      }),
    ),
  ),
  receiveMessageType: maybe(Named),
  sendMessageType: maybe(Named),
});
export type ManagedNodeAnswer = Static<typeof ManagedNodeAnswer>;

/** Each node is checked separately, so that a bad one does not hold back the others. */
const ManagedAppAnswer = Type.Object({
  nodes: Type.Array(Type.Record(Type.String(), Type.Unknown())),
  tenant: Type.Object({ region: Type.String({ minLength: 1 }) }),
});

export interface ManagedApp {
  readonly nodes: readonly ManagedNodeAnswer[];
  readonly tenant: { readonly region: string };
  /** Nodes of the answer that the service cannot use. */
  readonly unusable: readonly UnusableNode[];
}

/** The query has the variables `name` and `tenant`. */
export const GET_MANAGED_APP: ApiQuery<object> = {
  what: 'the managed app',
  text: `query getManagedApp($name: String!, $tenant: String!) {
    GetApp(name: $name, tenant: $tenant) {
      ... on ManagedApp {
        nodes {
          ... on ManagedNode {
            loggingLevel
            managedNodeType { imageUri name }
            mounts { source target }
            name
            ports { containerPort hostAddress hostPort protocol }
            receiveMessageType { name }
            sendMessageType { name }
            stopped
          }
        }
        tenant { region }
      }
    }
  }`,
  pick: ({ GetApp }) => (GetApp ?? undefined) as object | undefined,
};

/** The credentials that the programs in the nodes sign in with. */
export interface AppIdentity {
  readonly appsyncEndpoint: string;
  readonly clientId: string;
  readonly password: string;
  readonly tenant: string;
  readonly userPoolId: string;
  readonly username: string;
}

/**
 * Checks EchoStream's answer.
 * @param source for the error
 * @throws {ServiceError} `node.bad_feed` if the answer as a whole cannot be used
 */
export function managedAppIn(answer: unknown, source: string): ManagedApp {
  const why = misfit(ManagedAppAnswer, answer);
  if (why !== undefined) throw new ServiceError('node.bad_feed', { source, why });
  const { nodes, tenant } = answer as Static<typeof ManagedAppAnswer>;
  // The change receiver is also a node of the app. It appears as an empty object.
  const checked = nodes.filter(({ name }) => name !== undefined).map(checkedNode);
  return {
    tenant: { region: tenant.region },
    nodes: checked.flatMap(({ node }) => node ?? []),
    unusable: checked.flatMap(({ unusable }) => unusable ?? []),
  };
}

function checkedNode(answer: object): { node?: ManagedNodeAnswer; unusable?: UnusableNode } {
  const why = misfit(ManagedNodeAnswer, answer);
  if (why === undefined) return { node: answer as ManagedNodeAnswer };
  const name = 'name' in answer ? String(answer.name) : '';
  return { unusable: { name, why: `in the answer, ${why}` } };
}

/** Divides the app's nodes into those that the service can run and those that it cannot. */
export function wantedIn(
  { nodes, unusable }: ManagedApp,
  identity: AppIdentity,
): Required<Omit<WantedApp, 'app'>> {
  const names = nodes.map(({ name }) => name);
  const checked = nodes.map((node, i) => {
    const spec = specOf(node, identity);
    const isTwice = names.indexOf(node.name) !== i || names.lastIndexOf(node.name) !== i;
    return { spec, why: isTwice ? 'there are two nodes with this name' : whyUnusable(spec) };
  });
  return {
    nodes: checked.flatMap(({ spec, why }) => (why === undefined ? [spec] : [])),
    unusable: [
      ...unusable,
      ...checked.flatMap(({ spec: { name }, why }) => (why === undefined ? [] : [{ name, why }])),
    ],
  };
}

/** Source: the environment that programs of the node library expect, and the labels that other tools look for. */
export function specOf(node: ManagedNodeAnswer, identity: AppIdentity): NodeSpec {
  const { name, managedNodeType: type, loggingLevel, stopped } = node;
  return {
    name,
    type: type.name,
    image: type.imageUri,
    environment: {
      APPSYNC_ENDPOINT: identity.appsyncEndpoint,
      CLIENT_ID: identity.clientId,
      NODE: name,
      PASSWORD: identity.password,
      TENANT: identity.tenant,
      USER_NAME: identity.username,
      USER_POOL_ID: identity.userPoolId,
    },
    labels: {
      managed_node_type: type.name,
      ...(node.receiveMessageType && { receive_message_type: node.receiveMessageType.name }),
      ...(node.sendMessageType && { send_message_type: node.sendMessageType.name }),
    },
    mounts: (node.mounts ?? []).map(({ source, target }) => (source ? { source, target } : { target })),
    ports: (node.ports ?? []).map(({ containerPort, hostAddress, hostPort, protocol }) => ({
      containerPort,
      hostPort,
      ...(hostAddress && { hostAddress }),
      ...(protocol && { protocol: protocol as 'tcp' }),
    })),
    ...(loggingLevel && { loggingLevel }),
    ...(stopped && { stopped }),
  };
}
