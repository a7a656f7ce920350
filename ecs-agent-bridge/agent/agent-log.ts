/**
 * Turns the agent's log into lines of the service's log, with the agent's levels, so that its errors are reported like
 * the service's own. The agent writes one of two formats: JSON, or words like `level=info time=… msg="…"
 * module=client.go`.
 */

import type { Logger } from '../../logging/logger.ts';
import { LineSplitter } from '../../parsing/lines.ts';

/** The maximum length of a line in bytes. */
const LONGEST = 8192;
/** The number of last lines that are remembered to explain the agent's exit. */
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
 * Messages that the agent logs as errors at each start although no operator can fix them. They become warnings. They
 * are searched in the message and in the field `error`. Source: the agent 1.105.
 */
const WARNINGS: readonly RegExp[] = [
  // The archive of the pause image is in the agent's own image, and only awsvpc needs it. If awsvpc needs it, the agent
  // exits with code 5.
  /^Failed to load pause container:/,
  // The same is true of the archives for Service Connect, which only its tasks need. ECS places no such tasks without
  // them.
  /error adding \/managed-agents\/serviceconnect/i,
  // At its start, the agent looks at tasks that ECS already knows about, so there is nothing to send.
  /^Skipping emitting event for task due to error\b.* already sent$/s,
];

/** A line that cannot be parsed becomes an info line. */
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
  // A name must not be preceded by a character of a name. Otherwise a long run of such characters would be scanned from
  // each position.
  const words = line.matchAll(/(?<![\w.-])([\w.-]+)=("(?:\\.|[^"\\])*"|\S*)/g);
  return Object.fromEntries([...words].map(([, name, value = '']) => [name, unquoted(value)]));
}

/** Removes Go's quotes, most of which are valid JSON. */
function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value.slice(1, -1);
  }
}

/** Splits the agent's output, in pieces of any size, into lines. */
export class Lines {
  readonly #take: (line: string) => void;
  readonly #splitter = new LineSplitter({ most: LONGEST, cuts: true });

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    this.#tell(this.#splitter.push(bytes));
  }

  /** Handles the last line if it has no line feed. */
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

  /** The last messages since the previous call, the oldest first. */
  takeLast(): readonly string[] {
    const last = this.#last;
    this.#last = [];
    return last;
  }
}
