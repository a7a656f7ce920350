/**
 * What the messages of the data channel carry: their types, and the payloads that are not plain bytes.
 *
 * Source: aws/amazon-ssm-agent, agent/session/contracts/model.go, and aws/session-manager-plugin, message/clientmessage.go.
 */

/** The types of messages. The client sends input and acknowledgements; the rest comes from the agent or the service. */
export const MESSAGE = {
  input: 'input_stream_data',
  output: 'output_stream_data',
  acknowledge: 'acknowledge',
  closed: 'channel_closed',
  start: 'start_publication',
  pause: 'pause_publication',
} as const;

export const PAYLOAD = {
  output: 1,
  error: 2,
  size: 3,
  parameter: 4,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  encryptionChallengeRequest: 8,
  encryptionChallengeResponse: 9,
  flag: 10,
  stderr: 11,
  exitCode: 12,
} as const;

export const FLAG = { disconnectToPort: 1, terminateSession: 2, connectToPortError: 3 } as const;

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export function encodeSize({ columns, rows }: TerminalSize): Buffer {
  return Buffer.from(JSON.stringify({ cols: columns, rows }));
}

export function encodeFlag(flag: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(flag);
  return bytes;
}

/** The agent sends it as text, `EXIT_CODE: 3`. Undefined for anything else. */
export function decodeExitCode(payload: Uint8Array): number | undefined {
  const [, digits] = /^(?:EXIT_CODE:\s*)?(-?\d{1,10})\s*$/.exec(Buffer.from(payload).toString()) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Which message an acknowledgement is for. */
export function encodeAcknowledgement(type: string, id: string, sequence: number): Buffer {
  return Buffer.from(
    JSON.stringify({
      AcknowledgedMessageType: type,
      AcknowledgedMessageId: id,
      AcknowledgedMessageSequenceNumber: sequence,
      IsSequentialMessage: true,
    }),
  );
}

/** Undefined when the payload names no sequence number. */
export function decodeAcknowledgement(payload: Uint8Array): number | undefined {
  const sequence = parseObject(payload).AcknowledgedMessageSequenceNumber;
  return Number.isSafeInteger(sequence) ? (sequence as number) : undefined;
}

/** Why the service closed the channel; empty when it says nothing. */
export function decodeClosed(payload: Uint8Array): string {
  const { Output } = parseObject(payload);
  return typeof Output === 'string' ? Output.trim() : '';
}

/** An empty object for anything that is no JSON object. */
export function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
