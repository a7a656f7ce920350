/**
 * The agent's own log as lines of ours, with its levels, so that its errors are reported like ours. It writes either
 * of two formats: JSON, or words like `level=info time=… msg="…" module=client.go`.
 */

import type { Logger } from '../../logging/logger.ts';
import { LineSplitter } from '../../parsing/lines.ts';

/** Bytes of a line that are kept. */
const LONGEST = 8192;
/** Lines that are remembered for whoever asks why it ended. */
const LAST = 20;

export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface AgentLine {
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const LEVELS = new Map<unknown, Level>([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['critical', 'error'],
]);

/**
 * What the agent calls errors, and no host can mend: as errors of ours they would come with each start of it. Looked for in
 * the message and in the field `error`. Source: the agent 1.105.
 */
const WARNINGS: readonly RegExp[] = [
  // The archive of the pause image is in the agent's own image, and only awsvpc needs it; then the agent ends with code 5.
  /^Failed to load pause container:/,
  // So are the archives of Service Connect, which only its tasks need; ECS places none where they are missing.
  /error adding \/managed-agents\/serviceconnect/i,
  // A start looks at tasks that ECS knows about already: there is nothing to send.
  /^Skipping emitting event for task due to error\b.* already sent$/s,
];

/** What is not understood is information. */
export function parseAgentLine(line: string): AgentLine {
  const { level, msg, ...fields } = (line.startsWith('{') ? fromJson(line) : fromWords(line)) ?? {};
  const known = LEVELS.get(level);
  if (!known || typeof msg !== 'string') return { level: 'info', message: line, fields: {} };
  const text = [msg, fields.error].filter((one) => typeof one === 'string').join(' ');
  const isWarning = level === 'error' && WARNINGS.some((one) => one.test(text));
  return { level: isWarning ? 'warn' : known, message: msg, fields };
}

function fromJson(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function fromWords(line: string): Record<string, unknown> | undefined {
  if (!/^(level|time)=/.test(line)) return undefined;
  // A name begins where no other character of one is before it: else a long run of them is looked at from each.
  const words = line.matchAll(/(?<![\w.-])([\w.-]+)=("(?:\\.|[^"\\])*"|\S*)/g);
  return Object.fromEntries([...words].map(([, name, value = '']) => [name, unquoted(value)]));
}

/** As Go quotes; most of that is JSON too. */
function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value.slice(1, -1);
  }
}

/** Takes what the agent writes, in pieces of any size, and cuts it into lines. */
export class Lines {
  readonly #take: (line: string) => void;
  readonly #splitter = new LineSplitter({ most: LONGEST, cuts: true });

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    this.#tell(this.#splitter.push(bytes));
  }

  /** What there is of a last line. */
  end(): void {
    this.#tell(this.#splitter.end());
  }

  #tell(lines: readonly string[]): void {
    for (const line of lines.map((one) => one.trimEnd())) if (line) this.#take(line);
  }
}

export class AgentLog {
  readonly #log: Logger;
  #last: string[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  readonly take = (line: string): void => {
    const { level, message, fields } = parseAgentLine(line);
    this.#last = [...this.#last.slice(1 - LAST), message];
    this.#log[level]({ agent: fields }, message);
  };

  /** The last messages since this was asked for, the oldest first. */
  takeLast(): readonly string[] {
    const last = this.#last;
    this.#last = [];
    return last;
  }
}
