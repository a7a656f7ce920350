/**
 * The agent's end of a data channel, written from the protocol. It numbers and acknowledges messages, sends the oldest
 * one again when no acknowledgement arrives, performs the handshake, and runs a program. It shares only the codec with
 * the client.
 */

import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { spawn } from 'node-pty';
import { type AgentMessage, decodeMessage, encodeMessage } from '../../src/session/agent-message.ts';

/** The program behind the agent. */
export interface Program {
  /** Receives an input message: payload type and bytes. */
  input(type: number, payload: Buffer): void;
  stop(): void;
}

export interface AgentOptions {
  readonly transmit: (bytes: Buffer) => void;
  readonly start: (agent: SessionAgent) => Program;
  readonly sessionType: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly version?: string;
  readonly moreActions?: readonly object[];
  /** A data key of KMS that encrypts the session. */
  readonly key?: Buffer;
  /** false: without a handshake, like agents before 2.3.50. */
  readonly hasHandshake?: boolean;
}

const RESEND_AFTER = 60;

export class SessionAgent {
  readonly #options: AgentOptions;
  readonly #unacknowledged = new Map<number, { bytes: Buffer; sentAt: number }>();
  readonly #early = new Map<number, AgentMessage>();
  readonly #resending: NodeJS.Timeout;
  #next = 0;
  #expected = 0;
  #program: Program | undefined;
  #isPaused = false;
  /** The client's response in its handshake. */
  response: Record<string, unknown> | undefined;
  /** Input messages, in order. */
  readonly inputs: { type: number; payload: Buffer }[] = [];
  readonly #challenge = randomBytes(64);
  #waiting: (() => void)[] = [];

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#resending = setInterval(() => this.#resend(), 20);
  }

  begin(): void {
    const { sessionType, properties = {}, version = '3.2.582.0', moreActions = [] } = this.#options;
    if (this.#options.hasHandshake === false) {
      this.#program = this.#options.start(this);
      return;
    }
    const parameters = { SessionType: sessionType, Properties: properties };
    const encryption = { ActionType: 'KMSEncryption', ActionParameters: { KMSKeyId: 'key/1' } };
    const actions = [
      { ActionType: 'SessionType', ActionParameters: parameters },
      ...(this.#options.key ? [encryption] : []),
      ...moreActions,
    ];
    this.output(5, Buffer.from(JSON.stringify({ AgentVersion: version, RequestedClientActions: actions })));
  }

  /** Sends a message, in pieces as large as the agent's. */
  output(type: number, payload: Uint8Array): void {
    for (let at = 0; at < payload.length; at += 1024) {
      const sequence = this.#next++;
      const plain = payload.subarray(at, at + 1024);
      const { key } = this.#options;
      const piece = key && [1, 11, 12].includes(type) ? seal(key.subarray(0, 32), plain) : plain;
      const bytes = this.#message('output_stream_data', sequence, sequence === 0 ? 1 : 0, type, piece);
      this.#unacknowledged.set(sequence, { bytes, sentAt: Date.now() });
      if (!this.#isPaused) this.#options.transmit(bytes);
    }
  }

  /** Resolves when the client has acknowledged everything. */
  async flushed(): Promise<void> {
    while (this.#unacknowledged.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  close(Output: string): void {
    const payload = Buffer.from(JSON.stringify({ SessionId: 's', MessageType: 'channel_closed', Output }));
    this.#options.transmit(this.#message('channel_closed', 0, 0, 0, payload));
  }

  control(type: 'pause_publication' | 'start_publication'): void {
    this.#options.transmit(this.#message(type, 0, 0, 0, Buffer.alloc(0)));
  }

  receive(bytes: Buffer): void {
    const message = decodeMessage(bytes);
    const { sequence } = message;
    this.#isPaused = false;
    if (message.type === 'acknowledge') {
      const { AcknowledgedMessageSequenceNumber: acknowledged } = JSON.parse(
        Buffer.from(message.payload).toString(),
      );
      this.#unacknowledged.delete(acknowledged);
      for (const resolve of this.#waiting.splice(0)) resolve();
      return;
    }
    if (message.type !== 'input_stream_data') throw new Error(`a client sent ${message.type}`);
    this.#acknowledge(message);
    if (sequence > this.#expected) this.#early.set(sequence, message);
    if (sequence !== this.#expected) return;
    for (let next: AgentMessage | undefined = message; next; next = this.#early.get(this.#expected)) {
      this.#early.delete(this.#expected);
      this.#expected += 1;
      this.#take(next.payloadType, Buffer.from(next.payload));
    }
  }

  stop(): void {
    clearInterval(this.#resending);
    this.#program?.stop();
  }

  #take(type: number, payload: Buffer): void {
    const { key } = this.#options;
    if (type === 9) {
      const { Challenge } = JSON.parse(payload.toString());
      const answer = unseal((key as Buffer).subarray(32), Buffer.from(Challenge, 'base64'));
      if (!answer.equals(this.#challenge)) throw new Error('the challenge was not met');
      this.#complete();
      return;
    }
    if (type !== 6) {
      const plain = key && type === 1 ? unseal(key.subarray(32), payload) : payload;
      // Like the real agent, this drops input that arrives before the end of the handshake.
      this.inputs.push({ type, payload: plain });
      this.#program?.input(type, plain);
      return;
    }
    this.response = JSON.parse(payload.toString());
    const actions = this.response?.ProcessedClientActions as { ActionStatus: number; Error: string }[];
    const failed = actions.find(({ ActionStatus }) => ActionStatus !== 1);
    if (failed) {
      this.close(failed.Error);
      return;
    }
    if (key) {
      const Challenge = seal(key.subarray(0, 32), this.#challenge).toString('base64');
      this.output(8, Buffer.from(JSON.stringify({ Challenge })));
    } else this.#complete();
  }

  #complete(): void {
    this.output(7, Buffer.from(JSON.stringify({ HandshakeTimeToComplete: 1_000_000, CustomerMessage: '' })));
    this.#program = this.#options.start(this);
  }

  #acknowledge({ type, id, sequence }: AgentMessage): void {
    const content = {
      AcknowledgedMessageType: type,
      AcknowledgedMessageId: id,
      AcknowledgedMessageSequenceNumber: sequence,
      IsSequentialMessage: true,
    };
    this.#options.transmit(this.#message('acknowledge', 0, 3, 0, Buffer.from(JSON.stringify(content))));
  }

  #resend(): void {
    const [oldest] = this.#unacknowledged.values();
    if (!oldest || this.#isPaused || Date.now() - oldest.sentAt < RESEND_AFTER) return;
    oldest.sentAt = Date.now();
    this.#options.transmit(oldest.bytes);
  }

  #message(type: string, sequence: number, flags: number, payloadType: number, payload: Uint8Array): Buffer {
    return encodeMessage({
      type,
      createdAt: Date.now(),
      sequence,
      flags,
      id: randomUUID(),
      payloadType,
      payload,
    });
  }
}

function seal(key: Buffer, plain: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function unseal(key: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}

/** Runs the command on a terminal, like the agent in a container: without a shell, with the command's own words. */
export function terminalProgram(command: string): (agent: SessionAgent) => Program {
  return (agent) => {
    const [file = 'sh', ...words] = splitWords(command);
    const child = spawn(file, words, { cols: 80, rows: 24, encoding: null });
    child.onData((data) => agent.output(1, Buffer.from(data)));
    child.onExit(() => void agent.flushed().then(() => agent.close('')));
    /** The process may have ended, also before this one learns it. */
    const unlessEnded = (act: () => void) => {
      try {
        act();
      } catch {}
    };
    return {
      input: (type, payload) => {
        if (type === 1) child.write(payload as unknown as string);
        if (type !== 3) return;
        const { cols, rows } = JSON.parse(payload.toString());
        unlessEnded(() => child.resize(cols, rows));
      },
      stop: () => unlessEnded(() => child.kill('SIGKILL')),
    };
  };
}

/** Connects to a port and carries bytes, like the agent for a client that declines multiplexing. */
export function portProgram(port: number): (agent: SessionAgent) => Program {
  return (agent) => {
    const version = String(agent.response?.ClientVersion);
    if (/^1\.(1\.[7-9]\d|[2-9])/.test(version)) throw new Error(`version ${version} asks for multiplexing`);
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (data) => agent.output(1, data));
    socket.on('error', () => agent.close('Unable to connect to specified port'));
    return {
      input: (type, payload) => {
        if (type === 1) socket.write(payload);
        if (type === 10 && payload.readUInt32BE() === 2) {
          socket.destroy();
          agent.close('');
        }
      },
      stop: () => socket.destroy(),
    };
  };
}

/** Splits words like google/shlex, which interprets quotes and backslashes, and nothing else of a shell. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+/gs))
    words.push(
      word.replace(/'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs, (_, single, double, escaped) =>
        String(single ?? double?.replace(/\\(["\\])/g, '$1') ?? escaped),
      ),
    );
  return words;
}
