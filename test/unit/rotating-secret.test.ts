import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtempDisposable, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { RotatingSecret } from '../../settings/rotating-secret.ts';

const [FIRST, SECOND, THIRD] = [1, 2, 3].map((n) => `the-operators-token-of-unit-tests-${n}`) as [
  string,
  string,
  string,
];
const SHORT = 'a-short-operators-token';
const SPACED = 'the operators token of unit tests with spaces';

interface Opened {
  readonly secret: RotatingSecret;
  readonly values: string[];
  readonly reports: string[];
}

/** Asserts at the end that no report quoted a secret. */
function open(t: TestContext, environment: NodeJS.ProcessEnv): Opened {
  const values: string[] = [];
  const reports: string[] = [];
  t.after(() => {
    for (const report of reports) {
      assert.match(report, /^OPERATOR_TOKEN: /);
      for (const text of [FIRST, SECOND, THIRD, SHORT, SPACED]) assert.ok(!report.includes(text), report);
    }
  });
  const secret = new RotatingSecret({
    name: 'OPERATOR_TOKEN',
    environment,
    onValue: (value) => values.push(value),
    report: (why) => reports.push(why),
  });
  return { secret, values, reports };
}

/** Asserts that it is `expected`, however often it is requested. */
function assertCurrent({ secret }: Opened, expected: string | undefined): void {
  for (let i = 0; i < 3; i++) assert.equal(secret.current, expected);
}

/** A file that only root can read. */
async function put(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600 });
}

/** Older kernels give two changes within milliseconds the same time, so the file is changed until its time differs. */
async function change(file: string, how: () => Promise<unknown>): Promise<void> {
  const { ctimeNs } = await stat(file, { bigint: true });
  do await how();
  while ((await stat(file, { bigint: true })).ctimeNs === ctimeNs);
}

/** A file that existed together with the other one is never mistaken for it, but a later file may get its inode number. */
async function replace(file: string, other: string): Promise<void> {
  await rm(file, { recursive: true });
  await rename(other, file);
}

interface OpenedFile extends Opened {
  readonly file: string;
}

/** A secret whose file contains the first token. */
async function openFile(t: TestContext, text = FIRST): Promise<OpenedFile> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'rotating-secret-'));
  t.after(() => directory.remove());
  const file = join(directory.path, 'token');
  await put(file, text);
  return { ...open(t, { OPERATOR_TOKEN_FILE: file }), file };
}

suite('a secret from the environment', () => {
  test('is used, and reported once', (t) => {
    const opened = open(t, { OPERATOR_TOKEN: FIRST });
    assertCurrent(opened, FIRST);
    assert.deepEqual([opened.values, opened.reports], [[FIRST], []]);
  });

  test('takes precedence over a file, and does not change', async (t) => {
    const { file } = await openFile(t, SECOND);
    const opened = open(t, { OPERATOR_TOKEN: FIRST, OPERATOR_TOKEN_FILE: file });
    await rm(file);
    assertCurrent(opened, FIRST);
    assert.deepEqual([opened.values, opened.reports], [[FIRST], []]);
  });

  test('that is invalid is not used, and is reported once', (t) => {
    for (const text of [SHORT, SPACED]) {
      const opened = open(t, { OPERATOR_TOKEN: text });
      assertCurrent(opened, undefined);
      assert.deepEqual([opened.values, opened.reports.length], [[], 1]);
      assert.match(opened.reports[0] ?? '', /at least 32 printable characters/);
    }
  });

  test('can be missing, which is not an error', (t) => {
    const opened = open(t, {});
    assertCurrent(opened, undefined);
    assert.deepEqual([opened.values, opened.reports], [[], []]);
  });
});

suite('a secret from a file', () => {
  test('is used without its line ends, and reported once', async (t) => {
    const opened = await openFile(t, `${FIRST}\r\n\n`);
    assertCurrent(opened, FIRST);
    assert.deepEqual([opened.values, opened.reports], [[FIRST], []]);
  });

  test('changes when another file replaces it', async (t) => {
    const opened = await openFile(t);
    for (const text of [SECOND, THIRD]) {
      await put(`${opened.file}.new`, text);
      await rename(`${opened.file}.new`, opened.file);
      assertCurrent(opened, text);
    }
    assert.deepEqual([opened.values, opened.reports], [[FIRST, SECOND, THIRD], []]);
  });

  test('changes when it is rewritten in place, even with the same length', async (t) => {
    const opened = await openFile(t);
    for (const text of [SECOND, `${THIRD}-and-more`]) {
      await change(opened.file, () => writeFile(opened.file, text));
      assertCurrent(opened, text);
    }
    assert.deepEqual([opened.values, opened.reports], [[FIRST, SECOND, `${THIRD}-and-more`], []]);
  });

  test('changes even if only the last of several changes is seen', async (t) => {
    const opened = await openFile(t);
    await rm(opened.file);
    await put(opened.file, SHORT);
    await change(opened.file, () => writeFile(opened.file, SECOND));
    assertCurrent(opened, SECOND);
    assert.deepEqual([opened.values, opened.reports], [[FIRST, SECOND], []]);
  });

  test('can be a systemd credential', async (t) => {
    const { file } = await openFile(t);
    const directory = `${file}s`;
    await mkdir(directory);
    const credential = join(directory, 'OPERATOR_TOKEN');
    await put(credential, FIRST);
    const opened = open(t, { CREDENTIALS_DIRECTORY: directory });
    assertCurrent(opened, FIRST);
    await change(credential, () => writeFile(credential, SECOND));
    assertCurrent(opened, SECOND);
    assert.deepEqual([opened.values, opened.reports], [[FIRST, SECOND], []]);
  });
});

test('a secret with a forbidden value is not used, whenever it appears', async (t) => {
  const { file } = await openFile(t);
  const reports: string[] = [];
  const secret = new RotatingSecret({
    name: 'OPERATOR_TOKEN',
    environment: { OPERATOR_TOKEN_FILE: file },
    mustNotBe: SECOND,
    onValue: () => {},
    report: (why) => reports.push(why),
  });
  assert.equal(secret.current, FIRST);
  await change(file, () => writeFile(file, SECOND));
  assert.equal(secret.current, undefined);
  assert.deepEqual(reports, ["OPERATOR_TOKEN: must not be the webserver's secret"]);
});

suite('an unusable file', () => {
  /** The fault, its repair, and the report. */
  const cases: Readonly<
    Record<string, [(file: string) => Promise<unknown>, (file: string) => Promise<unknown>, RegExp]>
  > = {
    'is missing': [rm, (file) => put(file, FIRST), /ENOENT/],
    'can be read by others': [
      (file) => change(file, () => chmod(file, 0o640)),
      (file) => change(file, () => chmod(file, 0o600)),
      /must be readable by root alone/,
    ],
    'does not belong to root': [
      (file) => change(file, () => chown(file, 1000, 0)),
      (file) => change(file, () => chown(file, 0, 0)),
      /must be readable by root alone/,
    ],
    'is empty': [
      (file) => change(file, () => writeFile(file, '')),
      (file) => change(file, () => writeFile(file, FIRST)),
      /is empty/,
    ],
    'contains only line ends': [
      (file) => change(file, () => writeFile(file, '\n\r\n')),
      (file) => change(file, () => writeFile(file, FIRST)),
      /is empty/,
    ],
    'is too short': [
      (file) => change(file, () => writeFile(file, SHORT)),
      (file) => change(file, () => writeFile(file, FIRST)),
      /at least 32 printable characters/,
    ],
    'has spaces': [
      (file) => change(file, () => writeFile(file, SPACED)),
      (file) => change(file, () => writeFile(file, FIRST)),
      /at least 32 printable characters/,
    ],
    'has become a directory': [
      async (file) => {
        await mkdir(`${file}.new`, { mode: 0o700 });
        await replace(file, `${file}.new`);
      },
      async (file) => {
        await put(`${file}.new`, FIRST);
        await replace(file, `${file}.new`);
      },
      /EISDIR/,
    ],
    'is below a file instead of a directory': [
      async (file) => {
        await rename(join(file, '..'), `${join(file, '..')}.away`);
        await writeFile(join(file, '..'), '');
      },
      async (file) => {
        await rm(join(file, '..'));
        await rename(`${join(file, '..')}.away`, join(file, '..'));
      },
      /ENOTDIR/,
    ],
  };
  for (const [what, [spoil, mend, says]] of Object.entries(cases)) {
    test(`that ${what} is no longer used, and is reported once, until it is repaired`, async (t) => {
      const opened = await openFile(t);
      for (let times = 1; times <= 2; times++) {
        await spoil(opened.file);
        assertCurrent(opened, undefined);
        assert.equal(opened.reports.length, times);
        assert.match(opened.reports[times - 1] ?? '', says);
        await mend(opened.file);
        assertCurrent(opened, FIRST);
      }
      assert.deepEqual([opened.values, opened.reports.length], [[FIRST, FIRST, FIRST], 2]);
    });
  }

  test('is reported again if it is another one', async (t) => {
    const { file, ...opened } = await openFile(t, SHORT);
    assertCurrent(opened, undefined);
    await change(file, () => writeFile(file, ''));
    assertCurrent(opened, undefined);
    await rm(file);
    assertCurrent(opened, undefined);
    const said = opened.reports.map((why) => /32 printable|is empty|ENOENT/.exec(why)?.[0]);
    assert.deepEqual([opened.values, said], [[], ['32 printable', 'is empty', 'ENOENT']]);
  });

  test('is not used from the start, and is used once it is repaired', async (t) => {
    const opened = await openFile(t, SHORT);
    await change(opened.file, () => writeFile(opened.file, SECOND));
    assertCurrent(opened, SECOND);
    assert.deepEqual([opened.values, opened.reports.length], [[SECOND], 1]);
  });
});
