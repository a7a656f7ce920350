/**
 * Runs a number of rounds of chaos, soak or fuzz, and commits the outcome as a row of a table, in which the rounds add up.
 *
 *   node scripts/record-endurance.ts chaos|soak|fuzz COUNT
 */

import { addRow, git, run } from './recorded-runs.ts';

const TABLE = {
  path: 'docs/endurance.md',
  head: `# Runs of endurance

\`make record-endurance KIND=chaos COUNT=200\` lets the service die that often, from a new seed. With \`KIND=soak\` it hosts so many
containers in one process. With \`KIND=fuzz\` it takes so many inputs that are almost well-formed. Each run adds a line here.

| date | commit | what | count | seed | minutes | outcome |
| ---- | ------ | ---- | ----- | ---- | ------- | ------- |
`,
};
const COUNTS = { chaos: 'DEATHS', soak: 'CONTAINERS', fuzz: 'INPUTS' } as const;

const [kind = '', count = ''] = process.argv.slice(2);
if (!(kind in COUNTS) || !/^[1-9]\d*$/.test(count))
  throw new Error('say what to run and how often: chaos|soak|fuzz COUNT');
const commit = git('rev-parse', '--short', 'HEAD');
const word = COUNTS[kind as keyof typeof COUNTS];
const { code, log, date, minutes } = await run(['make', kind, `${word}=${count}`]);
const [, seed = ''] = /^seed (\d+)$/m.exec(log) ?? [];
const last = log.trimEnd().split('\n').at(-1) ?? '';
const [, broken] = /^death (\d+) .*has broken a promise/m.exec(log) ?? [];
const outcome = code === 0 ? last : broken ? `death ${broken} broke a promise` : `failed: ${last}`;
addRow(TABLE, [date, commit, kind, count, seed, minutes, outcome], `docs: a run of ${kind} on ${commit}`);
process.exitCode = code;
