/** The part of the EchoStream API's schema that a node uses, so that an invalid query fails. */

export const SCHEMA = `
type Query {
  GetNode(name: String!, tenant: String!): Node
  GetApp(name: String!, tenant: String!): App
  GetBulkDataStorage(tenant: String!, count: Int, useAccelerationEndpoint: Boolean): [BulkDataStorage!]!
}
schema { query: Query }

union Node = AppChangeReceiverNode | ExternalNode | ManagedNode
union App = CrossAccountApp | ExternalApp | ManagedApp
union ExternalNodeApp = CrossAccountApp | ExternalApp

type AppChangeReceiverNode {
  app: App!
  name: String!
  receiveEdge: Edge
  receiveMessageType: MessageType
  tenant: Tenant!
}
type ExternalNode {
  app: ExternalNodeApp!
  config: AWSJSON
  name: String!
  receiveEdges: [Edge!]!
  receiveMessageType: MessageType
  sendEdges: [Edge!]!
  sendMessageType: MessageType
  stopped: Boolean
  tenant: Tenant!
}
type ManagedNode {
  app: ManagedApp!
  config: AWSJSON
  name: String!
  receiveEdges: [Edge!]!
  receiveMessageType: MessageType
  sendEdges: [Edge!]!
  sendMessageType: MessageType
  stopped: Boolean
  tenant: Tenant!
  loggingLevel: String
  managedNodeType: ManagedNodeType!
  mounts: [Mount!]
  ports: [Port!]
}
union ManagedAppNode = AppChangeReceiverNode | ManagedNode
type ManagedNodeType { imageUri: String! name: String! }
type Mount { description: String source: String target: String! }
type Port { containerPort: Int! hostAddress: String hostPort: Int! protocol: String! }
type CrossAccountApp {
  auditRecordsEndpoint: String!
  config: AWSJSON
  name: String!
  tableAccess: Boolean
}
type ExternalApp {
  auditRecordsEndpoint: String!
  config: AWSJSON
  GetAwsCredentials(duration: Int): AwsCredentials!
  name: String!
  tableAccess: Boolean
}
type ManagedApp {
  auditRecordsEndpoint: String!
  config: AWSJSON
  GetAwsCredentials(duration: Int): AwsCredentials!
  name: String!
  nodes: [ManagedAppNode!]!
  tableAccess: Boolean
  tenant: Tenant!
}
type AwsCredentials {
  accessKeyId: String!
  expiration: AWSDateTime!
  secretAccessKey: String!
  sessionToken: String!
}
type Edge { queue: String! source: Named! target: Named! }
type Named { name: String! }
type MessageType { auditor: String! name: String! }
type Tenant { audit: Boolean config: AWSJSON name: String! region: String! table: String! }
type BulkDataStorage {
  expiration: AWSTimestamp!
  presignedGet: AWSURL!
  presignedPost: PresignedPost!
}
type PresignedPost { fields: AWSJSON! url: AWSURL! }
`;
