/**
 * The message types of the data channel, and the payloads that are not plain bytes.
 *
 * Source: aws/amazon-ssm-agent, agent/session/contracts/model.go, and aws/session-manager-plugin,
 * message/clientmessage.go.
 */

/** Message types. The client sends input and acknowledgements. The agent or the service sends the others. */
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

/**
 * The agent sends the exit code as text, such as `EXIT_CODE: 3`.
 * @returns undefined for any other text
 */
export function decodeExitCode(payload: Uint8Array): number | undefined {
  const [, digits] = /^(?:EXIT_CODE:\s*)?(-?\d{1,10})\s*$/.exec(Buffer.from(payload).toString()) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Encodes the acknowledgement of a message. */
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

/** @returns undefined when the payload names no sequence number */
export function decodeAcknowledgement(payload: Uint8Array): number | undefined {
  const sequence = parseObject(payload).AcknowledgedMessageSequenceNumber;
  return Number.isSafeInteger(sequence) ? (sequence as number) : undefined;
}

/** @returns why the service closed the channel; an empty string when it gives no reason */
export function decodeClosed(payload: Uint8Array): string {
  const { Output } = parseObject(payload);
  return typeof Output === 'string' ? Output.trim() : '';
}

/** @returns an empty object when the payload is not a JSON object */
export function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
