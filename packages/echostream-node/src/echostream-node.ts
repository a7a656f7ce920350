/** The public names of the package. */

export type { ApiQuery } from './api/api.ts';
export type { AppType, NodeType } from './api/queries.ts';
export { AppNode, type AppNodeOptions } from './app-node.ts';
export type { Auditor } from './audits.ts';
export type { BulkData } from './bulk-data.ts';
export { type Change, ChangeReceiver, type ChangeReceiverOptions, type Echo } from './change-receiver.ts';
export type { Config } from './config.ts';
export { EchoStreamApi, type EchoStreamApiOptions } from './echostream-api.ts';
export { EchoStreamError, type ErrorCode } from './errors.ts';
export type { BatchItemFailures, LambdaContext, LambdaEvent, LambdaRecord } from './lambda/events.ts';
export { LambdaNode, type LambdaNodeOptions } from './lambda-node.ts';
export type { Logger } from './logger.ts';
export { ManagedNode } from './managed-node.ts';
export { type Attributes, Message, type MessageFields, type MessageType } from './message.ts';
export type {
  AuditManyOptions,
  AuditOptions,
  CreateMessageOptions,
  EchoNode,
  NodeEvents,
  SendOptions,
} from './node.ts';
export type { NodeOptions } from './options.ts';
export type { Backoff } from './receiving/backoff.ts';
export type { Delivery } from './receiving/held.ts';
export { SendError, type SendResult } from './sending/send-to-targets.ts';
export type { TenantTable } from './table.ts';
export type { Tick } from './timers.ts';
