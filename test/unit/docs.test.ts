/** Checks that the documents are true: each test that they name exists, and no fault is missing. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { START_STEPS } from '../support/start-steps.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The titles of all tests in the sources; `…` stands for the text that a loop fills in. */
const titles = globSync(['test/*/*.test.ts', 'packages/*/test/*.test.ts'], { cwd: ROOT })
  .flatMap((file) => [...read(file).matchAll(/(?<![.\w])test\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g)])
  .map(([, , text = '']) => text.replace(/\\(.)/g, '$1').replace(/\$\{[^}]*\}/g, '…'));

/** The ids of the faults that a title says its test excludes: `C1, C2: …`. */
function faultsOf(title: string): string[] {
  return /^((?:[SC]\d+, )*[SC]\d+): /.exec(title)?.[1]?.split(', ') ?? [];
}

function assertIsTest(title: string): void {
  assert.equal(titles.filter((one) => one === title).length, 1, `not the title of one test: "${title}"`);
}

interface Fault {
  readonly id: string;
  readonly fault: string;
  readonly state: string;
  readonly how: string;
}

const faults = read('docs/FAULTS.md')
  .split('\n')
  .filter((line) => /^\| *[SC]\d/.test(line))
  .map((line): Fault => {
    const cells = line.split('|').map((cell) => cell.trim());
    assert.equal(cells.length, 6, `a row has four cells: ${line}`);
    const [, id = '', fault = '', state = '', how = ''] = cells;
    return { id, fault, state, how };
  });

/** The texts between backticks. */
function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, title = '']) => title);
}

/** The areas of later work that can own an open fault. */
const OWNERS = ['the webserver', 'what happens after a death', 'the ECS agent bridge', 'packaging'];

test('each of the 63 faults is in the list once, in order', () => {
  const numbered = (letter: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
  assert.deepEqual(
    faults.map(({ id }) => id),
    [...numbered('S', 21), ...numbered('C', 42)],
  );
});

test('each fault has a description, and is tested, impossible, or owned by later work', () => {
  for (const { id, fault, state, how } of faults) {
    assert.notEqual(fault, '', id);
    if (state === 'tested') assert.ok(quoted(how).length > 0, `${id} names no test`);
    else if (state === 'cannot') assert.match(how, /\.$/, `${id} does not say why`);
    else if (state === 'open') assert.ok(OWNERS.includes(how.split(/[:;.]/)[0] ?? ''), `${id} has no owner`);
    else assert.fail(`${id} has the unknown state "${state}"`);
  }
});

test("each test that excludes a fault exists and has the fault's id", () => {
  for (const { id, how } of faults) {
    for (const title of quoted(how)) {
      assertIsTest(title);
      assert.ok(faultsOf(title).includes(id), `"${title}" does not have the id ${id}`);
    }
  }
});

test('each test with the id of a fault is named in its row', () => {
  for (const title of titles) {
    for (const id of faultsOf(title)) {
      const row = faults.find((one) => one.id === id);
      assert.ok(row && quoted(row.how).includes(title), `${id} does not name "${title}"`);
    }
  }
});

test('each promise of the specification is a unique sentence that names its test', () => {
  const lines = read('docs/SPECIFICATION.md')
    .split('\n')
    .filter((line) => /^\s*[-*+] /.test(line));
  const promises = lines.map((line) => {
    const [, promise = '', title = ''] = /^- ([A-Z`].*\.) — test: `([^`]+)`$/.exec(line) ?? [];
    assert.notEqual(promise, '', `not a promise with its test: ${line}`);
    assertIsTest(title);
    return promise;
  });
  assert.ok(promises.length >= 50, `only ${promises.length} promises`);
  assert.equal(new Set(promises).size, promises.length);
});

test('the specification names the steps of the start as the source has them', () => {
  const [, steps] = /^- The service starts in steps \((.*?)\)/m.exec(read('docs/SPECIFICATION.md')) ?? [];
  assert.deepEqual(steps?.split(', '), START_STEPS);
});

test("each alarm in the operators' guide is a message in the sources", () => {
  const files = globSync(
    '{src,httpserver,ecs-agent-bridge,container,docker-engine,host,managed-nodes,user-configs,logging,errors}/**/*.ts',
    {
      cwd: ROOT,
    },
  );
  const sources = files.map(read).join('\n').replaceAll("\\'", "'");
  const rows = read('docs/operations.md')
    .split('\n')
    .filter((line) => /^\| (?:fatal|error|warn) /.test(line));
  const alarms = rows.flatMap((row) => quoted(row.split('|')[2] as string));
  assert.ok(alarms.length >= 30, `only ${alarms.length} alarms`);
  for (const alarm of alarms) {
    for (const part of alarm.split('…')) assert.ok(sources.includes(part.trim()), `no message: ${alarm}`);
  }
});
