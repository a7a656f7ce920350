/**
 * The common part of all nodes: they make, send and audit messages, upload bulk data, and describe themselves. A new node has
 * no connection; the first start signs in.
 */

import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { AppType, NodeType } from './api/queries.ts';
import type { AuditRecord } from './audits.ts';
import type { BulkData } from './bulk-data.ts';
import type { Config } from './config.ts';
import { EchoStreamError } from './errors.ts';
import { Message, type MessageFields, type MessageType } from './message.ts';
import { type NodeOptions, type Problems, resolveNodeOptions } from './options.ts';
import { type SendResult, sendToTargets } from './sending/send-to-targets.ts';
import { Session } from './session.ts';
import type { TenantTable } from './table.ts';

export interface NodeEvents {
  /** The merged configuration has changed. The arguments are the new and the previous one. */
  config: [config: Config, before: Config];
}

export type CreateMessageOptions = Omit<MessageFields, 'body' | 'messageType'>;

export interface SendOptions {
  /** Names of targets. Default: all. */
  readonly targets?: readonly string[];
}

export interface AuditOptions {
  /** Attributes of the record, in addition to those of the auditor. */
  readonly extraAttributes?: Readonly<Record<string, unknown>>;
  /** The name of the node that sent the message. */
  readonly source?: string;
}

export interface AuditManyOptions {
  /** One for each message, in the same order. */
  readonly extraAttributes?: readonly Readonly<Record<string, unknown>>[];
  readonly source?: string;
}

/** For the classes of this package: the private state of a node. */
export let sessionOf: (node: EchoNode) => Session;

export abstract class EchoNode extends EventEmitter<NodeEvents> {
  static {
    sessionOf = (node) => node.#session;
  }

  readonly #session: Session;

  /** @throws EchoStreamError OPTIONS_INVALID; a subclass adds its problems to `problems` first */
  constructor(options: NodeOptions = {}, problems?: Problems) {
    super();
    this.#session = new Session(resolveNodeOptions(options, process.env, problems));
  }

  get name(): string {
    return this.#session.options.name;
  }

  get tenant(): string {
    return this.#session.options.tenant;
  }

  /** The name of the node's app. */
  get app(): string {
    return this.#session.connection.node.app.name;
  }

  get appType(): AppType {
    return this.#session.connection.node.app.__typename;
  }

  get nodeType(): NodeType {
    return this.#session.connection.node.__typename;
  }

  /** The configurations of the tenant, the app and the node, merged in this order. */
  get config(): Config {
    return this.#session.connection.config;
  }

  /** The names of the nodes from which this one receives. */
  get sources(): readonly string[] {
    return this.#session.sourceEdges.map(({ source }) => source.name);
  }

  /** The names of the nodes to which this one sends. */
  get targets(): readonly string[] {
    return [...this.#session.connection.targets.all.keys()];
  }

  /** True if the node is stopped in EchoStream. It then neither receives nor sends. */
  get stopped(): boolean {
    return this.#session.connection.node.stopped === true;
  }

  /** True when the tenant wants audit records. */
  get audit(): boolean {
    return this.#session.connection.node.tenant.audit !== false;
  }

  get receiveMessageType(): MessageType | undefined {
    return typeOf(this.#session.connection.node.receiveMessageType);
  }

  get sendMessageType(): MessageType | undefined {
    return typeOf(this.#session.connection.node.sendMessageType);
  }

  /** @throws EchoStreamError NO_TABLE if the app has no access to the tenant's table */
  get table(): TenantTable {
    const { table } = this.#session.connection;
    if (table) return table;
    throw new EchoStreamError(
      'NO_TABLE',
      `The app ${this.app} has no access to the table of the tenant. Enable table access of the app in EchoStream.`,
    );
  }

  /** Makes a message of the type that this node sends. */
  createMessage(body: string, options: CreateMessageOptions = {}): Message {
    const messageType = this.sendMessageType;
    if (messageType) return new Message({ ...options, body, messageType });
    throw new EchoStreamError(
      'MESSAGE_INVALID',
      `The node ${this.name} sends no messages. Give it a send message type in EchoStream.`,
    );
  }

  /**
   * Resolves when SQS has accepted the message for each target. Await it, so that a fast sender is slowed down.
   * @throws SendError, EchoStreamError UNKNOWN_TARGET, NODE_STOPPED
   */
  async sendMessage(message: Message, options: SendOptions = {}): Promise<readonly SendResult[]> {
    return this.sendMessages([message], options);
  }

  /** Sends messages in batches and in order. Results are grouped by message, and by target within it. */
  async sendMessages(
    messages: Iterable<Message>,
    { targets }: SendOptions = {},
  ): Promise<readonly SendResult[]> {
    this.#refuseIfStopped();
    return sendToTargets(messages, targets, this.#session.connection.targets.all, this.#session.telemetry);
  }

  /** Resolves when the record is queued for delivery, which takes long only while deliveries fail. */
  async auditMessage(message: Message, { extraAttributes, source }: AuditOptions = {}): Promise<void> {
    this.#refuseIfStopped();
    const audits = this.#session.connection.audits.get(message.messageType.name);
    if (!audits || !this.audit) return;
    const attributes = {
      ...this.#session.options.auditors.get(message.messageType.name)?.(message.body),
      ...extraAttributes,
    };
    const record: AuditRecord = {
      datetime: new Date().toISOString(),
      previousTrackingIds: message.previousTrackingIds ?? null,
      sourceNode: source ?? null,
      trackingId: message.trackingId,
      ...(Object.keys(attributes).length > 0 && { attributes }),
    };
    await audits.add(record);
  }

  async auditMessages(
    messages: readonly Message[],
    { extraAttributes, source }: AuditManyOptions = {},
  ): Promise<void> {
    if (extraAttributes && extraAttributes.length !== messages.length) {
      throw new EchoStreamError(
        'MESSAGE_INVALID',
        `extraAttributes must have one entry for each of the ${messages.length} messages; it has ${extraAttributes.length}.`,
      );
    }
    for (const [i, message] of messages.entries()) {
      const extra = extraAttributes?.[i];
      await this.auditMessage(message, {
        ...(extra && { extraAttributes: extra }),
        ...(source !== undefined && { source }),
      });
    }
  }

  /**
   * Uploads content of up to 5 GiB (compressed), and resolves with its URL. Send the URL in a message.
   * @throws EchoStreamError BULK_DATA_FAILED, API_FAILED
   */
  async handleBulkData(data: BulkData, { signal }: { readonly signal?: AbortSignal } = {}): Promise<string> {
    return this.#session.connection.bulkData.upload(data, signal);
  }

  /**
   * Reads the node from EchoStream again: its edges, its configuration, and whether it is stopped. Emits
   * `config` if the configuration has changed.
   */
  async refresh(): Promise<void> {
    const before = this.config;
    await this.#session.connection.refresh();
    if (!isDeepStrictEqual(this.config, before)) this.emit('config', this.config, before);
  }

  #refuseIfStopped(): void {
    if (!this.stopped) return;
    throw new EchoStreamError(
      'NODE_STOPPED',
      `The node ${this.name} is stopped in EchoStream, so it sends and audits nothing. Start it there, and then start this program again.`,
    );
  }
}

function typeOf(
  type: { readonly name: string; readonly auditor?: string | null } | null | undefined,
): MessageType | undefined {
  if (!type) return undefined;
  return { name: type.name, ...(type.auditor && { auditor: type.auditor }) };
}
