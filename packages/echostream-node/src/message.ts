/**
 * A message, as the nodes at both ends of an edge see it. On the wire, it is an SQS message with two attributes: `trackingId`,
 * and `prevTrackingIds` (a JSON list) if there are previous ids.
 */

import { randomUUID } from 'node:crypto';
import { EchoStreamError } from './errors.ts';

/** The largest message of SQS, in bytes. A queue can have a lower limit. */
const MOST = 1_048_576;

/** The kind of content that an edge carries. */
export interface MessageType {
  readonly name: string;
  /** The source of the type's auditor, which is written in Python. This library never runs it. */
  readonly auditor?: string;
}

export interface MessageFields {
  readonly body: string;
  readonly messageType: MessageType;
  /** Messages of one group are handled in order. Default: the node's name. */
  readonly groupId?: string | undefined;
  /** The ids of the messages from which this one was made. */
  readonly previousTrackingIds?: readonly string[] | undefined;
  /** Default: a random id. */
  readonly trackingId?: string | undefined;
}

/** SQS's string attributes, by name. */
export type Attributes = Readonly<Record<string, string>>;

export class Message {
  readonly body: string;
  readonly messageType: MessageType;
  readonly groupId: string | undefined;
  readonly previousTrackingIds: readonly string[] | undefined;
  readonly trackingId: string;
  /**
   * @param isReceived SQS has delivered it, so its size is not checked
   * @throws EchoStreamError MESSAGE_INVALID, MESSAGE_TOO_LARGE
   */
  constructor(
    { body, messageType, groupId, previousTrackingIds, trackingId }: MessageFields,
    isReceived = false,
  ) {
    if (typeof body !== 'string' || body === '') {
      throw new EchoStreamError(
        'MESSAGE_INVALID',
        'The body of a message must be a string of one character or more.',
      );
    }
    this.body = body;
    this.messageType = messageType;
    this.groupId = groupId;
    this.previousTrackingIds = previousTrackingIds?.length
      ? Object.freeze([...previousTrackingIds])
      : undefined;
    this.trackingId = trackingId ?? randomUUID().replaceAll('-', '');
    if (!isReceived && this.byteLength > MOST) throw tooLarge(this, MOST, 'SQS');
    Object.freeze(this);
  }

  /** The size that SQS counts: the UTF-8 bytes of the body and of the names, types and values of the attributes. */
  get byteLength(): number {
    return bytesOf(this.body, this.attributes);
  }

  /** The attributes on the wire. */
  get attributes(): Attributes {
    const { trackingId, previousTrackingIds } = this;
    if (previousTrackingIds === undefined) return { trackingId };
    return { trackingId, prevTrackingIds: JSON.stringify(previousTrackingIds) };
  }

  /** Parses a message from the wire. A sender that is not an EchoStream node may have omitted the attributes. */
  static received(body: string, attributes: Attributes, messageType: MessageType, groupId?: string): Message {
    const { trackingId, prevTrackingIds } = attributes;
    const previousTrackingIds = idsIn(prevTrackingIds);
    return new Message({ body, messageType, groupId, trackingId, previousTrackingIds }, true);
  }
}

export function bytesOf(body: string, attributes: Attributes): number {
  let bytes = Buffer.byteLength(body);
  for (const [name, value] of Object.entries(attributes)) {
    bytes += Buffer.byteLength(name) + 'String'.length + Buffer.byteLength(value);
  }
  return bytes;
}

export function tooLarge({ trackingId, byteLength }: Message, most: number, who: string): EchoStreamError {
  return new EchoStreamError(
    'MESSAGE_TOO_LARGE',
    `The message ${trackingId} has ${byteLength} bytes, and ${who} takes ${most}. Upload the content with handleBulkData() and send the URL that it returns.`,
  );
}

function idsIn(json: string | undefined): readonly string[] | undefined {
  if (json === undefined) return undefined;
  try {
    const ids: unknown = JSON.parse(json);
    if (Array.isArray(ids)) return ids.map(String);
  } catch {
    // The fault is the sender's. The message can still be handled.
  }
  return undefined;
}
