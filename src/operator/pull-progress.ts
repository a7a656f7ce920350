/**
 * Shows the progress of a pull: on a terminal as one line that is redrawn, elsewhere as a line for each step of a
 * layer.
 */

import { messageOf, type ServiceError } from '../../errors/service-error.ts';
import { messagesOf, type Schemas } from '../../packages/api-client/src/main.ts';
import { printable } from './printable.ts';

type Progress = Schemas['PullProgress'];

interface Message {
  readonly event: string | undefined;
  readonly data: object;
}

const MIB = 2 ** 20;
/** Clears the line of a terminal. */
const CLEAR = '\r\u001b[K';

export class PullDisplay {
  /** Written before anything else that is shown. */
  readonly clear: string;
  /** Returns the text for the present progress. */
  readonly show: (progress: Progress) => string;

  /** @param columns the width of the terminal; undefined if there is none */
  constructor(image: string, columns: number | undefined) {
    this.clear = columns === undefined ? '' : CLEAR;
    this.show = columns === undefined ? inSteps() : inOneLine(image, columns);
  }
}

/** @throws the error that `broken` creates if the stream ends early */
export async function* unbroken(
  answer: unknown,
  broken: (why: string) => ServiceError,
): AsyncGenerator<Message> {
  let why = 'its answer ended';
  try {
    for await (const { event, data } of messagesOf(answer)) yield { event, data: JSON.parse(data) };
  } catch (error) {
    why = messageOf(error);
  }
  throw broken(printable(why));
}

export function describePulled({ image, digest, size }: Schemas['PulledImage']): string {
  return printable(`${image} is on this host: ${digest}, ${mebibytes(size)} MiB`);
}

function inSteps(): (progress: Progress) => string {
  const statuses = new Map<string, string>();
  return ({ layers }) =>
    layers
      .filter(({ id, status }) => statuses.get(id) !== status)
      .map(({ id, status }) => {
        statuses.set(id, status);
        return `${printable(`${id}: ${status}`)}\n`;
      })
      .join('');
}

function inOneLine(image: string, columns: number): (progress: Progress) => string {
  return ({ layers, bytes: { current, total } }) => {
    const isHere = layers.filter(({ status }) => /^(Pull complete|Already exists)$/.test(status));
    const percent = Math.floor((100 * current) / Math.max(total, 1));
    const bytes = `${mebibytes(current)} of ${mebibytes(total)} MiB (${percent} %)`;
    const line = `${printable(image)}: ${isHere.length} of ${layers.length} layers, ${bytes}`;
    return `${CLEAR}${line.slice(0, columns - 1)}`;
  };
}

function mebibytes(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
