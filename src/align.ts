/** Aligns text in columns. */

/** In characters: the gap between two columns, and the minimum width of a narrowed column. */
const GAP = 2;
const LEAST = 8;

/** @returns a line for each row, without trailing spaces */
export function align(rows: readonly (readonly string[])[]): string[] {
  const widths = columnWidths(rows);
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(' '.repeat(GAP))
      .trimEnd(),
  );
}

/** Like `align`, but with a maximum line length: text that is too long for its column continues on the next line. */
export function fit(rows: readonly (readonly string[])[], columns = Infinity): string[] {
  const widths = columnWidths(rows);
  let over = widths.reduce((sum, width) => sum + width, GAP * (widths.length - 1)) - columns;
  for (; over > 0; over -= 1) {
    const widest = Math.max(...widths);
    if (widest <= LEAST) break;
    widths[widths.indexOf(widest)] = widest - 1;
  }
  return align(rows.flatMap((row) => broken(row, widths)));
}

/** Splits a row into several, with cells that fit into their columns. */
function broken(row: readonly string[], widths: readonly number[]): string[][] {
  const cells = row.map((cell, column) => piecesOf(cell, widths[column] ?? 0));
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => cells.map((pieces) => pieces[line] ?? ''));
}

/** Cuts after a space or a slash if there is one. */
function piecesOf(cell: string, width: number): string[] {
  if (cell.length <= width) return [cell];
  const at = Math.max(cell.lastIndexOf(' ', width), cell.lastIndexOf('/', width - 1) + 1);
  const end = at > 0 ? at : width;
  return [cell.slice(0, end), ...piecesOf(cell.slice(end).trimStart(), width)];
}

function columnWidths(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
}
