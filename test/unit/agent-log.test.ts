import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { AgentLog, Lines, parseAgentLine } from '../../ecs-agent-bridge/agent/agent-log.ts';
import { FollowedFile } from '../../ecs-agent-bridge/agent/followed-file.ts';
import { createLogger } from '../../logging/logger.ts';
import { until } from '../support/site.ts';

suite("a line of the agent's log", () => {
  test('in text form is a message with its level and fields', () => {
    const line =
      'level=warn time=2026-11-21T22:48:01Z msg="Could not \\"stop\\"\\tit: \\u00e9" module=client.go attempt=2';
    assert.deepEqual(parseAgentLine(line), {
      level: 'warn',
      message: 'Could not "stop"\tit: é',
      fields: { time: '2026-11-21T22:48:01Z', module: 'client.go', attempt: '2' },
    });
  });

  test('in JSON form is the same', () => {
    const line =
      '{"level":"error","time":"2026-11-21T22:48:01Z","msg":"it failed","module":"acs.go","error":{"code":1}}';
    assert.deepEqual(parseAgentLine(line), {
      level: 'error',
      message: 'it failed',
      fields: { time: '2026-11-21T22:48:01Z', module: 'acs.go', error: { code: 1 } },
    });
  });

  test("has a level that maps to one of the service's levels", () => {
    const ours = ['trace', 'debug', 'info', 'warn', 'error', 'critical'].map(
      (level) => parseAgentLine(`level=${level} time=x msg="m"`).level,
    );
    assert.deepEqual(ours, ['trace', 'debug', 'info', 'warn', 'error', 'error']);
  });

  test('is a warning if it is an error that occurs at each start and is no fault of the host', () => {
    const skipped = 'msg="Skipping emitting event for task due to error" task="5f1d" reason=""';
    const levelOf = (words: string) => parseAgentLine(`level=error time=t ${words}`).level;
    for (const words of [
      'msg="Failed to load pause container: open /images/amazon-ecs-pause.tar: no such file or directory" module=agent.go',
      'msg="Appnet watcher" error="error adding /managed-agents/serviceconnect: no such file or directory"',
      `${skipped} error="create task state change event api: status [RUNNING] already sent"`,
    ])
      assert.equal(levelOf(words), 'warn', words);
    const json = { level: 'error', time: 't', msg: 'Skipping emitting event for task due to error' };
    const error = 'create task state change event api: status [STOPPED] already sent';
    assert.equal(parseAgentLine(JSON.stringify({ ...json, error })).level, 'warn');
    for (const words of [
      `${skipped} error="the task is not known"`,
      'msg="Unable to start the container" error="Failed to load pause container: x"',
      'msg="Message already sent"',
    ])
      assert.equal(levelOf(words), 'error', words);
    assert.equal(
      parseAgentLine('level=critical time=t msg="Failed to load pause container: x"').level,
      'error',
    );
  });

  test('is logged unchanged at level info if it cannot be parsed', () => {
    for (const line of [
      'panic: runtime error: index out of range',
      'goroutine 1 [running]:',
      '{"level":"info"',
      '{"level":"constructor","msg":"x"}',
      '{"level":"error","msg":5}',
      '[1,2]',
      'level=error',
      'level="error time=x',
      'time=2026 msg=no-level',
    ]) {
      assert.deepEqual(parseAgentLine(line), { level: 'info', message: line, fields: {} });
    }
  });

  test('shows an escape that Go has and JSON has not as it is written', () => {
    assert.equal(parseAgentLine('level=info time=x msg="a\\x00b"').message, 'a\\x00b');
  });
});

suite('lines', () => {
  function linesOf(...pieces: (string | Buffer)[]): string[] {
    const taken: string[] = [];
    const lines = new Lines((line) => taken.push(line));
    for (const piece of pieces) lines.push(Buffer.from(piece as string));
    lines.end();
    return taken;
  }

  test('are whole however their bytes arrive, and empty ones are skipped', () => {
    assert.deepEqual(linesOf('a', 'b\nc\r\n', '\n\nd'), ['ab', 'c', 'd']);
    assert.deepEqual(linesOf(), []);
  });

  test('keep multi-byte characters intact', () => {
    const bytes = Buffer.from('über\n');
    assert.deepEqual(linesOf(bytes.subarray(0, 1), bytes.subarray(1)), ['über']);
  });

  test('that are too long are cut, whether they arrive at once or in pieces', () => {
    for (const pieces of [['x'.repeat(100_000)], Array<string>(100).fill('x'.repeat(1000))]) {
      assert.deepEqual(linesOf(...pieces, '\nnext'), [`${'x'.repeat(8192)}…`, 'next']);
    }
  });
});

suite("the agent's log inside the service's log", () => {
  function begin() {
    const written: Record<string, unknown>[] = [];
    const stream = { write: (line: string) => void written.push(JSON.parse(line)) };
    return { agentLog: new AgentLog(createLogger({ level: 'trace', stream })), written };
  }

  test('has one line for each line of the agent, with its level, message and fields', () => {
    const { agentLog, written } = begin();
    agentLog.take('level=critical time=then msg="Unable to start" module=agent.go');
    assert.equal(written[0]?.level, 'error');
    assert.equal(written[0]?.msg, 'Unable to start');
    assert.deepEqual(written[0]?.agent, { time: 'then', module: 'agent.go' });
  });

  test('shows no fields with secret names', () => {
    const { agentLog, written } = begin();
    agentLog.take('level=info time=then msg="m" token=hush-hush');
    assert.doesNotMatch(JSON.stringify(written), /hush/);
  });

  test('keeps the last messages until they are requested', () => {
    const { agentLog } = begin();
    for (let i = 1; i <= 30; i++) agentLog.take(`level=info time=t msg="line ${i}"`);
    const last = agentLog.takeLast();
    assert.equal(last.length, 20);
    assert.deepEqual([last[0], last.at(-1)], ['line 11', 'line 30']);
    assert.deepEqual(agentLog.takeLast(), []);
  });
});

suite('a log file that is followed', () => {
  async function follow(before: string | undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'followed-'));
    const path = join(directory, 'agent.log');
    if (before !== undefined) writeFileSync(path, before);
    const taken: string[] = [];
    const stop = new AbortController();
    const { over } = await new FollowedFile(path, (line) => taken.push(line)).begin(stop.signal);
    const end = async () => {
      stop.abort();
      await over;
      rmSync(directory, { recursive: true });
      return taken;
    };
    const has = (line: string) => until(`${line} is read`, () => taken.includes(line));
    return { path, taken, end, has };
  }

  test('is read from its current position to its end as it grows', async () => {
    const { path, end, has } = await follow('old\n');
    appendFileSync(path, 'one\ntw');
    await has('one');
    appendFileSync(path, 'o\nthree');
    assert.deepEqual(await end(), ['one', 'two', 'three']);
  });

  test('may appear later, be replaced, and be truncated', async () => {
    const { path, end, has } = await follow(undefined);
    writeFileSync(path, 'first\n');
    await has('first');
    appendFileSync(path, 'before it is replaced\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'second\n');
    await has('second');
    truncateSync(path);
    appendFileSync(path, '3\n');
    await has('3');
    assert.deepEqual(await end(), ['first', 'before it is replaced', 'second', '3']);
  });
});
