/**
 * Runs one command in a container with this process's streams, as a terminal or as pipes, and returns its exit code.
 */

import { END_OF_INPUT, INPUT_LINE, InputLines, type ShellCommand } from './command-line.ts';
import { type ChannelOptions, DataChannel } from './data-channel.ts';
import { inputChunks, pieces } from './input-chunks.ts';
import { MarkedOutput } from './marked-output.ts';
import { decodeExitCode, encodeSize, PAYLOAD } from './payloads.ts';
import { SessionError } from './session-error.ts';
import { sizeOf, type TerminalInput, type TerminalOutput, takeTerminal, watchSize } from './terminal.ts';

export interface SessionStreams {
  readonly stdin: TerminalInput;
  readonly stdout: TerminalOutput;
  readonly stderr: NodeJS.WritableStream;
}

export interface SessionOptions extends Omit<ChannelOptions, 'onPayload' | 'clientVersion'> {
  readonly streams: SessionStreams;
  /** The command that ExecuteCommand was given. undefined: the command has no marks. */
  readonly command: ShellCommand | undefined;
  readonly hasTerminal: boolean;
  /** Whether to send stdin. */
  readonly hasInput: boolean;
  /** Terminates the session at the service after an error. Closing the connection alone does not end the program. */
  terminate?(): Promise<void>;
}

/** A version of the plugin that supports exit codes and a separate stderr. */
const CLIENT_VERSION = '1.2.764.0';

/**
 * @returns the command's exit code; 0 when a session without marks ends
 * @throws SessionError, or the signal's reason
 */
export async function runSession(options: SessionOptions): Promise<number> {
  const session = new Session(options);
  try {
    return await session.run();
  } catch (error) {
    await options.terminate?.().catch(() => {});
    throw error;
  }
}

class Session {
  readonly #options: SessionOptions;
  readonly #marks: MarkedOutput | undefined;
  readonly #started = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<number>();
  /** Streams that must drain before more is read. */
  readonly #full = new Set<NodeJS.WritableStream>();
  #channel: DataChannel | undefined;
  #lastLine = '';

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#marks = options.command && new MarkedOutput(options.command);
    if (!this.#marks) this.#started.resolve();
    this.#finished.promise.catch(() => {});
  }

  async run(): Promise<number> {
    const { streams, hasTerminal, hasInput } = this.#options;
    await using channel = await DataChannel.open({
      ...this.#options,
      clientVersion: CLIENT_VERSION,
      onPayload: (type, payload) => this.#take(type, payload),
    });
    this.#channel = channel;
    if (this.#full.size > 0) channel.read(false);
    // The reader of stdout may close it before the end.
    const failed = (error: Error) => this.#finished.reject(error);
    streams.stdout.on('error', failed);
    using _raw = hasTerminal ? takeTerminal(streams.stdin) : undefined;
    using _size = hasTerminal
      ? watchSize(streams.stdout, (size) => void channel.send(PAYLOAD.size, encodeSize(size)))
      : undefined;
    if (hasTerminal) void channel.send(PAYLOAD.size, encodeSize(sizeOf(streams.stdout)));
    const stop = new AbortController();
    const input = hasTerminal || hasInput ? this.#sendInput(channel, stop.signal) : Promise.resolve();
    const outcome = input.then(() => this.#finished.promise);
    outcome.catch(() => {});
    try {
      return await Promise.race([
        this.#finished.promise,
        outcome,
        channel.ended.then((reason) => this.#outcome(reason)),
      ]);
    } finally {
      stop.abort();
      await Promise.all([written(streams.stdout), written(streams.stderr)]);
      streams.stdout.off('error', failed);
    }
  }

  /** Interprets the end of the channel when no exit code came before it. */
  async #outcome(reason: string): Promise<number> {
    const rest = this.#marks?.flush();
    if (rest) this.#write(this.#options.streams.stdout, rest);
    if (!this.#marks) {
      if (reason !== '') throw new SessionError('closed', `the session was ended: ${reason}`);
      return 0;
    }
    const why = reason || this.#lastLine;
    if (this.#marks.hasStarted)
      throw new SessionError(
        'closed',
        `the session ended before the command did${why && `: ${why}`}; the task may have stopped, or the session's time is up`,
      );
    throw new SessionError(
      'closed',
      `the command did not start${why && `: ${why}`}; an image without a shell needs the option that runs the command without one`,
    );
  }

  #take(type: number, payload: Uint8Array): void {
    const { stdout, stderr } = this.#options.streams;
    switch (type) {
      case PAYLOAD.output: {
        const output = this.#marks?.push(payload) ?? payload;
        this.#write(stdout, output);
        if (this.#marks?.hasStarted) this.#started.resolve();
        else this.#lastLine = lastLineOf(output) || this.#lastLine;
        if (this.#marks?.exitCode !== undefined) this.#finished.resolve(this.#marks.exitCode);
        break;
      }
      case PAYLOAD.stderr:
      case PAYLOAD.error:
        this.#write(stderr, payload);
        break;
      case PAYLOAD.exitCode: {
        const code = decodeExitCode(payload);
        if (code !== undefined) this.#finished.resolve(code);
      }
    }
  }

  #write(stream: NodeJS.WritableStream, bytes: Uint8Array): void {
    if (bytes.length === 0 || stream.write(bytes) || this.#full.has(stream)) return;
    this.#full.add(stream);
    this.#channel?.read(false);
    stream.once('drain', () => {
      this.#full.delete(stream);
      if (this.#full.size === 0) this.#channel?.read(true);
    });
  }

  /** Rejects only when stdin fails. It waits for the first mark, because a shell would echo earlier input. */
  async #sendInput(channel: DataChannel, signal: AbortSignal): Promise<void> {
    const { stdin } = this.#options.streams;
    await this.#started.promise;
    const lines = new InputLines();
    const isRaw = this.#options.hasTerminal || !this.#marks;
    for await (const chunk of inputChunks(stdin, signal))
      for (const piece of isRaw ? pieces(chunk, INPUT_LINE) : lines.lines(chunk))
        await channel.send(PAYLOAD.output, piece);
    if (signal.aborted) return;
    if (!this.#options.hasTerminal)
      for (const piece of isRaw ? [END_OF_INPUT] : lines.flush()) await channel.send(PAYLOAD.output, piece);
  }
}

/** Resolves when everything is written to the stream, or the stream is closed. */
async function written(stream: NodeJS.WritableStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.write('', () => resolve());
  await promise;
}

function lastLineOf(output: Uint8Array): string {
  return Buffer.from(output).toString().trim().split('\n').at(-1)?.trim().slice(0, 300) ?? '';
}
