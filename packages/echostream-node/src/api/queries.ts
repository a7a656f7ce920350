/** The queries that a node sends to the EchoStream API, and their results. */

import type { ApiQuery } from './api.ts';

export type AppType = 'CrossAccountApp' | 'ExternalApp' | 'ManagedApp';
export type NodeType = 'AppChangeReceiverNode' | 'ExternalNode' | 'ManagedNode';

export interface Edge {
  readonly queue: string;
}
export type ReceiveEdge = Edge & { readonly source: { readonly name: string } };
export type SendEdge = Edge & { readonly target: { readonly name: string } };
interface TypeOfMessages {
  readonly name: string;
  readonly auditor?: string | null;
}

/** Each `config` is JSON in a string. */
export interface NodeAnswer {
  readonly __typename: NodeType;
  readonly app: {
    readonly __typename: AppType;
    readonly auditRecordsEndpoint: string;
    readonly config?: string | null;
    readonly name: string;
    readonly tableAccess?: boolean | null;
  };
  readonly config?: string | null;
  readonly receiveEdge?: ReceiveEdge | null;
  readonly receiveEdges?: readonly ReceiveEdge[] | null;
  readonly receiveMessageType?: TypeOfMessages | null;
  readonly sendEdges?: readonly SendEdge[] | null;
  readonly sendMessageType?: TypeOfMessages | null;
  readonly stopped?: boolean | null;
  readonly tenant: {
    readonly audit?: boolean | null;
    readonly config?: string | null;
    readonly region: string;
    readonly table?: string | null;
  };
}

const APP = 'auditRecordsEndpoint config name tableAccess';
const apps = (...types: readonly AppType[]): string =>
  `app { __typename ${types.map((type) => `... on ${type} { ${APP} }`).join(' ')} }`;
const EDGES = `
  config
  receiveEdges { queue source { name } }
  receiveMessageType { auditor name }
  sendEdges { queue target { name } }
  sendMessageType { auditor name }
  stopped
  tenant { audit config region table }`;

export const GET_NODE: ApiQuery<NodeAnswer> = {
  what: 'the node',
  text: `query getNode($name: String!, $tenant: String!) {
    GetNode(name: $name, tenant: $tenant) {
      __typename
      ... on AppChangeReceiverNode {
        ${apps('CrossAccountApp', 'ExternalApp', 'ManagedApp')}
        receiveEdge { queue source { name } }
        receiveMessageType { auditor name }
        tenant { audit config region table }
      }
      ... on ExternalNode { ${apps('CrossAccountApp', 'ExternalApp')} ${EDGES} }
      ... on ManagedNode { ${apps('ManagedApp')} ${EDGES} }
    }
  }`,
  pick: ({ GetNode }) => GetNode as NodeAnswer | null,
};

export interface CredentialsAnswer {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** Variables: name and tenant (of the app), duration (in seconds). */
export const credentialsQuery = (type: AppType): ApiQuery<CredentialsAnswer> => ({
  what: 'credentials for the app',
  text: `query getAwsCredentials($name: String!, $tenant: String!, $duration: Int!) {
    GetApp(name: $name, tenant: $tenant) {
      ... on ${type} {
        GetAwsCredentials(duration: $duration) { accessKeyId expiration secretAccessKey sessionToken }
      }
    }
  }`,
  pick: ({ GetApp }) =>
    (GetApp as { GetAwsCredentials?: CredentialsAnswer } | null | undefined)?.GetAwsCredentials,
});

/** The target of one upload. */
export interface StorageAnswer {
  /** Seconds since 1970, or a date in ISO 8601. */
  readonly expiration: number | string;
  readonly presignedGet: string;
  /** `fields` is an object, or JSON in a string. */
  readonly presignedPost: {
    readonly fields: Readonly<Record<string, string>> | string;
    readonly url: string;
  };
}

/** Variables: tenant, count, useAccelerationEndpoint. */
export const GET_BULK_DATA_STORAGE: ApiQuery<readonly StorageAnswer[]> = {
  what: 'storage for bulk data',
  text: `query getBulkDataStorage($tenant: String!, $count: Int!, $useAccelerationEndpoint: Boolean!) {
    GetBulkDataStorage(tenant: $tenant, count: $count, useAccelerationEndpoint: $useAccelerationEndpoint) {
      expiration
      presignedGet
      presignedPost { fields url }
    }
  }`,
  pick: ({ GetBulkDataStorage }) => GetBulkDataStorage as readonly StorageAnswer[] | null,
};
