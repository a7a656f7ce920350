/** Makes a table of every resource that a service held from its log. */

import { fit } from '../src/align.ts';

/** The fields of a log line that the table uses. */
interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

interface Row {
  readonly owner: string;
  readonly kind: string;
  readonly what: string;
  readonly allotted: string;
  released: string;
  seen: string;
}

const HEAD: Row = {
  owner: 'OWNER',
  kind: 'RESOURCE',
  what: 'WHICH',
  allotted: 'ALLOTTED',
  released: 'RELEASED',
  seen: 'SEEN GONE',
};

/** @param lines the log at level debug @param names names of containers by their id */
export function resourceTable(lines: readonly Line[], names: ReadonlyMap<string, string>): string {
  const owners = ['service', ...names.values()];
  const rows = rowsOf(lines)
    .map((row) => withNames(row, names))
    .sort((a, b) => owners.indexOf(a.owner) - owners.indexOf(b.owner));
  const kept = rows.filter(({ released }) => released === '').length;
  const verdict = kept === 0 ? 'nothing is left' : `${kept} WERE NOT RELEASED`;
  return `${layOut([HEAD, ...rows])}\n\n${rows.length} resources were allotted, and ${rows.length - kept} were released: ${verdict}.`;
}

function rowsOf(lines: readonly Line[]): Row[] {
  const rows: Row[] = [];
  for (const { msg, kind, what, owner, time, seen } of lines) {
    if (msg === 'taken') {
      const [o, k, w] = [owner, kind, what].map(String) as [string, string, string];
      rows.push({ owner: o, kind: k, what: w, allotted: clock(time), released: '', seen: 'STILL HELD' });
    } else if (msg === 'gone') {
      const row = rows.find(
        (one) => one.owner === owner && one.kind === kind && one.what === what && !one.released,
      );
      if (row) Object.assign(row, { released: clock(time), seen: String(seen) });
    }
  }
  return rows;
}

/** The time of day, with milliseconds. */
function clock(time: unknown): string {
  return String(time).slice(11, 23);
}

/** Replaces long ids by names, and shortens paths, because roots differ between runs. */
function withNames(row: Row, names: ReadonlyMap<string, string>): Row {
  let { owner, what } = row;
  for (const [id, name] of names) {
    if (owner.endsWith(id)) owner = name;
    what = what.replace(id, '<id>');
  }
  what = what.replace(/[0-9a-f]{64}/, '<docker id>');
  const path = /^\/.*?(\/(?:fractal|run\/ecs|var\/lib).*)$/.exec(what);
  return { ...row, owner, what: path?.[1] ?? what };
}

function layOut(rows: readonly Row[]): string {
  const columns = ['owner', 'kind', 'what', 'allotted', 'released', 'seen'] as const;
  const cells = rows.map((row) => columns.map((column) => row[column]));
  return fit(cells, process.stdout.columns).join('\n');
}
