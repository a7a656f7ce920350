/**
 * The data channel of one session: the reliable stream over a socket to Systems Manager, the handshake that the agent
 * starts, and the end.
 */

import { MalformedMessageError } from './agent-message.ts';
import { answerHandshake, type GetDataKey, type Introduction } from './handshake.ts';
import { CLIENT_END, MessageStream } from './message-stream.ts';
import { encodeFlag, FLAG, PAYLOAD, parseObject } from './payloads.ts';
import { ResumingSocket, type SocketOptions } from './resuming-socket.ts';
import { SessionCipher } from './session-cipher.ts';
import { SessionError } from './session-error.ts';
import { systemTimers, type Timers } from './timers.ts';

export interface ChannelOptions
  extends Pick<SocketOptions, 'ticket' | 'clientVersion' | 'resume' | 'headers'> {
  /** Called in order for each payload that the agent sends after the handshake. */
  onPayload(type: number, payload: Uint8Array): void;
  /** Gets the data key of an encrypted session. Without it, an encrypted session is refused. */
  readonly dataKey?: GetDataKey;
  readonly timers?: Timers;
  /** Milliseconds within which the agent must complete the handshake. */
  readonly patience?: number;
  readonly signal: AbortSignal;
}

const HANDSHAKE_PATIENCE = 30_000;
const PATIENCE_AT_END = 1_000;

export class DataChannel implements AsyncDisposable {
  readonly #options: ChannelOptions;
  readonly #timers: Timers;
  readonly #stream: MessageStream;
  readonly #socket: ResumingSocket;
  readonly #ready = Promise.withResolvers<Introduction>();
  readonly #ended = Promise.withResolvers<string>();
  #introduction: Introduction | undefined;
  #cipher: SessionCipher | undefined;
  #isReady = false;
  #forget: () => void = () => {};

  /**
   * Resolves when the handshake is complete.
   * @throws SessionError, or the signal's reason
   */
  static async open(options: ChannelOptions): Promise<DataChannel> {
    const channel = new DataChannel(options);
    try {
      await channel.#begin();
    } catch (error) {
      channel.#close();
      throw error;
    }
    return channel;
  }

  private constructor(options: ChannelOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    // A caller need not await these promises, so their rejections must not be unhandled.
    this.#ended.promise.catch(() => {});
    this.#ready.promise.catch(() => {});
    this.#stream = new MessageStream({
      ...CLIENT_END,
      timers: this.#timers,
      transmit: (bytes) => this.#socket.send(bytes),
      deliver: (type, payload) => this.#deliver(type, payload),
      closed: (reason) => this.#end(reason),
      lost: () => this.#fail('connection', 'the agent has not acknowledged anything for five minutes'),
    });
    this.#socket = new ResumingSocket({
      ...options,
      timers: this.#timers,
      connected: () => this.#stream.connected(),
      disconnected: () => this.#stream.disconnected(),
      received: (bytes) => this.#receive(bytes),
      failed: (error) => this.#break(error),
    });
  }

  get introduction(): Introduction {
    if (!this.#introduction) throw new Error('the handshake is not complete');
    return this.#introduction;
  }

  /**
   * Resolves with the reason (or an empty string) when the service closes the channel.
   * @throws SessionError when the channel fails
   */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Resolves when the next message may be sent. */
  async send(type: number, payload: Uint8Array): Promise<void> {
    await this.#stream.send(type, this.#cipher?.outgoing(type, payload) ?? payload);
  }

  /** Resolves when everything that was sent is acknowledged, or the channel has ended. */
  async flushed(): Promise<void> {
    await this.#stream.flushed();
  }

  /** Pauses or resumes reading. Unread data waits at the service, which tells the agent to pause. */
  read(isReading: boolean): void {
    this.#stream.isHeard = isReading;
    this.#socket.read(isReading);
  }

  /** Tells the agent that the session is over, waits up to a second for its acknowledgement, and closes the channel. */
  async terminate(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#timers.schedule(PATIENCE_AT_END, resolve);
    const told = this.send(PAYLOAD.flag, encodeFlag(FLAG.terminateSession)).then(() => this.flushed());
    await Promise.race([told, this.#ended.promise, promise]).catch(() => {});
    cancel();
    this.#end('');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('');
    await this.#socket.closed();
  }

  async #begin(): Promise<void> {
    const { signal, patience = HANDSHAKE_PATIENCE } = this.#options;
    signal.throwIfAborted();
    const abort = () => this.#break(signal.reason);
    signal.addEventListener('abort', abort);
    this.#forget = () => signal.removeEventListener('abort', abort);
    const cancel = this.#timers.schedule(patience, () =>
      this.#fail(
        'connection',
        `the agent in the container has not answered within ${patience / 1_000} s; check whether the task is still running`,
      ),
    );
    try {
      await this.#socket.open();
      await this.#ready.promise;
    } finally {
      cancel();
    }
  }

  #receive(bytes: Buffer): void {
    try {
      this.#stream.receive(bytes);
    } catch (error) {
      // The message is not acknowledged, so the agent sends it again.
      if (!(error instanceof MalformedMessageError)) throw error;
    }
  }

  #deliver(type: number, payload: Uint8Array): void {
    switch (type) {
      case PAYLOAD.handshakeRequest:
        this.#answer(payload).catch((error: unknown) => this.#break(error));
        break;
      case PAYLOAD.encryptionChallengeRequest:
        this.#answerChallenge(payload);
        break;
      case PAYLOAD.handshakeComplete:
        this.#becomeReady();
        this.#tell(parseObject(payload).CustomerMessage);
        break;
      default:
        // Old agents skip the handshake.
        if (!this.#isReady) this.#becomeReady();
        this.#pass(type, payload);
    }
  }

  #pass(type: number, payload: Uint8Array): void {
    try {
      this.#options.onPayload(type, this.#cipher?.incoming(type, payload) ?? payload);
    } catch (error) {
      this.#break(error);
    }
  }

  async #answer(payload: Uint8Array): Promise<void> {
    const { clientVersion, dataKey } = this.#options;
    const { introduction, response, problems, key } = await answerHandshake(payload, clientVersion, dataKey);
    this.#introduction = introduction;
    if (key) this.#cipher = new SessionCipher(key);
    await this.#stream.send(PAYLOAD.handshakeResponse, response);
    if (problems.length > 0) this.#fail('unsupported', `the session cannot start: ${problems.join('; ')}`);
  }

  #answerChallenge(payload: Uint8Array): void {
    try {
      const answer = this.#cipher?.answerChallenge(parseObject(payload).Challenge);
      if (answer) void this.#stream.send(PAYLOAD.encryptionChallengeResponse, answer);
    } catch (cause) {
      this.#fail(
        'unsupported',
        'the agent has another key for the session; check that the task role allows kms:Decrypt',
        cause,
      );
    }
  }

  #becomeReady(): void {
    this.#isReady = true;
    this.#introduction ??= { agentVersion: '', sessionType: 'shell', properties: {} };
    this.#ready.resolve(this.#introduction);
  }

  #tell(message: unknown): void {
    if (typeof message === 'string' && message !== '')
      this.#options.onPayload(PAYLOAD.error, Buffer.from(`${message}\n`));
  }

  #end(reason: string): void {
    const why = reason === '' ? 'the service closed the session before it started' : reason;
    this.#ready.reject(new SessionError('closed', `the session did not start: ${why}`));
    this.#ended.resolve(reason);
    this.#close();
  }

  #fail(problem: 'connection' | 'unsupported', message: string, cause?: unknown): void {
    this.#break(new SessionError(problem, message, { cause }));
  }

  #break(error: unknown): void {
    this.#ready.reject(error);
    this.#ended.reject(error);
    this.#close();
  }

  #close(): void {
    this.#forget();
    this.#stream.end();
    this.#socket.close();
  }
}
