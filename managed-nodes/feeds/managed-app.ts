/** The managed app as EchoStream's API returns it, and its conversion to node specs. */

import type { ApiQuery } from '../../packages/echostream-node/src/echostream-node.ts';
import type { NodeSpec } from '../spec/node-spec.ts';

/** GraphQL returns null for a missing value. */
type Maybe<T> = T | null | undefined;

export interface ManagedNodeAnswer {
  readonly name: string;
  readonly stopped?: Maybe<boolean>;
  readonly loggingLevel?: Maybe<string>;
  readonly managedNodeType: { readonly name: string; readonly imageUri: string };
  readonly mounts?: Maybe<readonly { readonly source?: Maybe<string>; readonly target: string }[]>;
  readonly ports?: Maybe<
    readonly {
      readonly containerPort: number;
      readonly hostAddress?: Maybe<string>;
      readonly hostPort: number;
      readonly protocol?: Maybe<string>;
    }[]
  >;
  readonly receiveMessageType?: Maybe<{ readonly name: string }>;
  readonly sendMessageType?: Maybe<{ readonly name: string }>;
}

export interface ManagedAppAnswer {
  readonly nodes: readonly ManagedNodeAnswer[];
  readonly tenant: { readonly region: string };
}

/**
 * The query has the variables `name` and `tenant`. The change receiver is a node of the app too. It appears as an empty
 * object, which `pick` drops.
 */
export const GET_MANAGED_APP: ApiQuery<ManagedAppAnswer> = {
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
  pick: ({ GetApp }) => {
    const { nodes, tenant } = (GetApp ?? {}) as Partial<ManagedAppAnswer>;
    return nodes && tenant && { nodes: nodes.filter(({ name }) => name), tenant };
  },
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
