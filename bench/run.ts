/**
 * Runs each measurement RUNS times and writes the results to results.json and RESULTS.md. If some are named, only these
 * are run, and the other results stay. The exit code is 1 if a run misses a limit. All numbers are ratios of two sides
 * that took turns in one run, so they do not depend on the speed of the machine.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Measure, type Measurement, overRuns, type Row } from './measure.ts';

const MEASUREMENTS = [
  'spin-up',
  'docker-proxy',
  'start-up',
  'start-values',
  'pool',
  'list',
  'terminals',
  'console',
  'input-devices',
  'user-configs',
  'hostile-neighbours',
  'spot-notice',
  'death',
  'hand-over',
  'node-library',
  'release',
  'nodes',
];

const RUNS = Number(process.env.RUNS ?? 3);
const named = process.argv.slice(2);
const here = (file: string) => join(import.meta.dirname, file);

/** Shows progress in one line of a terminal; elsewhere, that would be too many lines. */
function say(name: string): (progress: string) => void {
  return (progress) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name}: ${progress}`);
  };
}

function cells({ name, unit, median, p95, bound, met, spread = [median, median] }: Row): string {
  const word = bound.aim ? 'aim' : 'at most';
  const limit = (value: number | undefined) => (value === undefined ? '' : ` (${word} ${value}${unit})`);
  return `| ${name} | ${median}${unit}${limit(bound.median)} | ${spread.join(' to ')} | ${p95}${unit}${limit(bound.p95)} | ${met ? 'yes' : '**no**'} |`;
}

function partsIn(file: string): ReadonlyMap<string, string> {
  const parts = readFileSync(here(file), 'utf8').split(/^(?=## )/m);
  return new Map(parts.slice(1).map((part) => [part.slice(3, part.indexOf('\n')), `${part.trimEnd()}\n`]));
}

function markdown(results: Readonly<Record<string, Measurement>>): string {
  const fresh = Object.entries(results).map(([name, { method, rows, table }]): [string, string] => [
    name,
    [
      `## ${name}`,
      '',
      method,
      '',
      '| measured | median | in each run | p95 | met |',
      '| --- | --- | --- | --- | --- |',
      ...rows.map(cells),
      ...(table ? ['', table] : []),
      '',
    ].join('\n'),
  ]);
  const all = new Map([...partsIn('RESULTS.md'), ...fresh]);
  const parts = MEASUREMENTS.flatMap((name) => all.get(name) ?? []);
  return [
    '# Measured side by side',
    '',
    'Written by `make bench`. Each number is a ratio of two sides that took turns in one run on one machine. Where there are only',
    'a few rounds, the p95 is the largest value. Where there were several runs, each number is their median, the column',
    '"in each run" has the smallest and the largest median, and a limit is met only if each run met it.',
    '',
    ...parts,
  ].join('\n');
}

const results: Record<string, Measurement> = {};
for (const name of named.length > 0 ? named : MEASUREMENTS) {
  const { measure }: { measure: Measure } = await import(here(`${name}.ts`));
  const runs: Measurement[] = [];
  while (runs.length < RUNS) runs.push(await measure(say(`${name}, run ${runs.length + 1} of ${RUNS}`)));
  results[name] = overRuns(runs);
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  for (const row of results[name].rows) console.log(cells(row).replaceAll(/^\| | \|$/g, ''));
}

const rows = Object.values(results).flatMap((one) => one.rows);
const missed = rows.filter(({ met, bound }) => !met && !bound.aim).length;
const before: Row[] = JSON.parse(readFileSync(here('results.json'), 'utf8'));
const kept = named.length === 0 ? [] : before.filter((old) => !rows.some(({ name }) => name === old.name));
writeFileSync(here('results.json'), `${JSON.stringify([...kept, ...rows], null, 2)}\n`);
writeFileSync(here('RESULTS.md'), markdown(results));
console.log(missed === 0 ? 'every bound is met' : `${missed} bounds are missed`);
process.exitCode = missed === 0 ? 0 : 1;
