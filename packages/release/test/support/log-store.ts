/** Simulates CloudWatch Logs' streams: pages of any size, tokens, and empty pages that are not the end. */

import { type Body, Refusal } from './json-aws.ts';

interface Line {
  readonly timestamp: number;
  readonly message: string;
}

export class LogStore {
  readonly streams = new Map<string, Line[]>();
  /** Returns the number of events of the next page. 0 means an empty page with another token. */
  pageSize: () => number = () => 3;
  /** Returns the error of a refused request, if it must be refused. */
  refusal: () => string | undefined = () => undefined;

  add(stream: string, ...messages: string[]): void {
    const lines = this.streams.get(stream) ?? [];
    this.streams.set(stream, lines);
    for (const message of messages)
      lines.push({ timestamp: Number(/\d+$/.exec(message)?.[0] ?? 0), message });
  }

  readonly getLogEvents = ({ logStreamName, nextToken, startTime = 0 }: Body): object => {
    const refusal = this.refusal();
    if (refusal) throw new Refusal(refusal);
    const lines = this.streams.get(String(logStreamName));
    if (!lines) throw new Refusal('ResourceNotFoundException', 'The specified log stream does not exist.');
    const [from = 0, turn = 0] = nextToken === undefined ? [] : (nextToken as string).split('/').map(Number);
    const rest = lines.slice(from);
    const page = rest.slice(0, this.pageSize());
    const isEnd = rest.length === 0 && nextToken !== undefined;
    return {
      events: page.filter(({ timestamp }) => timestamp >= Number(startTime)),
      nextForwardToken: isEnd ? nextToken : `${from + page.length}/${turn + 1}`,
    };
  };
}

/** A clock on which a sleep takes no time, but yields to other tasks. */
export function hurriedClock(slept: (milliseconds: number) => void = () => {}) {
  let now = 0;
  return {
    now: () => now,
    sleep: async (milliseconds: number, signal?: AbortSignal) => {
      now += milliseconds;
      slept(milliseconds);
      await new Promise(setImmediate);
      // Like Node's timers.
      if (signal?.aborted) throw new DOMException('The operation was aborted', 'AbortError');
    },
    timeout: () => new AbortController().signal,
  };
}
