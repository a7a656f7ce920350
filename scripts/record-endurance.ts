/**
 * Runs a number of rounds of chaos, soak or fuzz, and commits the result as a row of a table, in which the rounds add
 * up.
 *
 *   node scripts/record-endurance.ts chaos|soak|fuzz COUNT
 */

import { addRow, git, run } from './recorded-runs.ts';

const TABLE = {
  path: 'docs/endurance.md',
  head: `# Endurance runs

\`make record-endurance KIND=chaos COUNT=200\` makes the service die 200 times, from a new seed. With \`KIND=soak\`, COUNT is the
number of containers that one process hosts. With \`KIND=fuzz\`, COUNT is the number of almost valid inputs that the service
receives. Each run adds a line here.

| date | commit | what | count | seed | minutes | outcome |
| ---- | ------ | ---- | ----- | ---- | ------- | ------- |
`,
};
const COUNTS = { chaos: 'DEATHS', soak: 'CONTAINERS', fuzz: 'INPUTS' } as const;

const [kind = '', count = ''] = process.argv.slice(2);
if (!(kind in COUNTS) || !/^[1-9]\d*$/.test(count))
  throw new Error('usage: record-endurance.ts chaos|soak|fuzz COUNT');
const commit = git('rev-parse', '--short', 'HEAD');
const word = COUNTS[kind as keyof typeof COUNTS];
const { code, log, date, minutes } = await run(['make', kind, `${word}=${count}`]);
const [, seed = ''] = /^seed (\d+)$/m.exec(log) ?? [];
const last = log.trimEnd().split('\n').at(-1) ?? '';
const [, broken] = /^death (\d+) .*has broken a promise/m.exec(log) ?? [];
const outcome = code === 0 ? last : broken ? `death ${broken} broke a promise` : `failed: ${last}`;
addRow(TABLE, [date, commit, kind, count, seed, minutes, outcome], `docs: a run of ${kind} on ${commit}`);
process.exitCode = code;
