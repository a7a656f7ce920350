/**
 * Formats a receipt for people. Its long ids occur in most of its paths, so they are shown once and paths are
 * shortened.
 */

import type { Schemas } from '../../packages/api-client/src/main.ts';
import { fit } from '../align.ts';

type Receipt = Schemas['Receipt'];

const INDENT = '  ';

/** @param columns the width of the terminal; undefined if there is none */
export function describeReceipt(receipt: Receipt, columns?: number): string {
  const { container, docker, app, began, ended, cause, states, resources } = receipt;
  const below = directoryOf(receipt);
  const short = (text = '') => {
    const relative = below && text.startsWith(below) ? text.slice(below.length) : text;
    const named = relative.replaceAll(container, '<id>');
    return docker ? named.replaceAll(docker, '<docker id>') : named;
  };
  const facts = [
    ...(docker ? [['docker id', docker]] : []),
    ['began', began],
    ['ended', ended ? `${ended}: ${cause ?? 'the cause is unknown'}` : 'has not ended'],
    ...(below ? [['paths below', below]] : []),
  ];
  const passed = states.map(({ state, at, cause: why = '' }) => [at, state, why]);
  const held = resources.map(({ kind, what, allotted, released, seen, failed }) => [
    kind,
    short(what),
    released ? spanOf(Date.parse(released) - Date.parse(allotted)) : 'held',
    short(seen ?? failed),
  ]);
  const tables = [facts, passed, [['RESOURCE', 'WHICH', 'FOR', 'SEEN'], ...held]];
  const lines = tables.flatMap((rows) => fit(rows, columns && columns - INDENT.length));
  return [`${container} (${app})`, ...lines.map((line) => INDENT + line), ''].join('\n');
}

/** The directory that contains the container's own directories, with a slash at its end. */
function directoryOf({ container, resources }: Receipt): string | undefined {
  const all = resources.map(({ what }) => what).filter((what) => what.endsWith(`/${container}`));
  const [shortest] = all.toSorted((a, b) => a.length - b.length);
  return shortest?.slice(0, -container.length);
}

/** @returns such as `3 h 12 min` */
export function spanOf(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours < 1) return `${minutes} min ${seconds % 60} s`;
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
