/** The result of a measurement: ratios of two sides that took turns in one run, and their limit. */

export interface Row {
  /** The two things that are compared. */
  readonly name: string;
  /** The unit of the numbers; `×` is a ratio. */
  readonly unit: '×';
  readonly median: number;
  readonly p95: number;
  /** The limits. An aim is reported, but missing it is no failure. */
  readonly bound: { readonly median?: number; readonly p95?: number; readonly aim?: true };
  readonly met: boolean;
  /** The smallest and the largest median of several runs. */
  readonly spread?: readonly [number, number];
}

/** One measurement, named after its file. */
export interface Measurement {
  /** The method in a sentence or two, for RESULTS.md. */
  readonly method: string;
  readonly rows: readonly Row[];
  /** An additional Markdown table. */
  readonly table?: string;
}

/**
 * The rows of several runs of one measurement as one: the medians of the runs' numbers. A limit is met only if each run
 * meets it.
 */
export function overRuns(runs: readonly Measurement[]): Measurement {
  const last = runs.at(-1) as Measurement;
  const rows = last.rows.map((row, i): Row => {
    const same = runs.map((run) => run.rows[i] as Row);
    const medians = same.map((one) => one.median);
    return {
      ...row,
      median: median(medians),
      p95: median(same.map((one) => one.p95)),
      met: same.every((one) => one.met),
      spread: [Math.min(...medians), Math.max(...medians)],
    };
  });
  return { ...last, rows };
}

export type Measure = (say: (progress: string) => void) => Promise<Measurement>;

export function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))] as number;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The median of the pairs' ratios, and the ratio of the p95 of both sides. */
export function ofPairs(
  name: string,
  pairs: readonly (readonly [ours: number, theirs: number])[],
  bound: Row['bound'],
): Row {
  const p95 =
    quantile(
      pairs.map(([ours]) => ours),
      0.95,
    ) /
    quantile(
      pairs.map(([, theirs]) => theirs),
      0.95,
    );
  return row(name, median(pairs.map(([ours, theirs]) => ours / theirs)), p95, bound);
}

export function row(name: string, middle: number, p95: number, bound: Row['bound']): Row {
  if (!Number.isFinite(middle) || !Number.isFinite(p95))
    throw new Error(`${name}: something was not measured`);
  const met = middle <= (bound.median ?? Infinity) && p95 <= (bound.p95 ?? Infinity);
  return { name, unit: '×', median: rounded(middle), p95: rounded(p95), bound, met };
}

function rounded(number: number): number {
  return Math.round(number * 1000) / 1000;
}

/** Runs both sides once, in random order. */
export async function inRandomOrder<T>(ours: () => Promise<T>, theirs: () => Promise<T>): Promise<[T, T]> {
  if (Math.random() < 0.5) {
    const first = await ours();
    return [first, await theirs()];
  }
  const first = await theirs();
  return [await ours(), first];
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const beginning = performance.now();
  await work();
  return performance.now() - beginning;
}
