import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { InstanceState, type InstanceStateOptions } from '../../host/instance-state.ts';
import { type HostFacts, Metadata } from '../../host/metadata.ts';
import type { Line } from '../../logging/line.ts';
import { createLogger } from '../../logging/logger.ts';
import { Ec2StandIn, type Refusal } from '../support/ec2.ts';
import fc from '../support/properties.ts';
import type { Fault } from '../support/recorder.ts';
import { S3_KEY_ID } from '../support/secrets.ts';
import { FACTS } from '../support/world.ts';

/** In milliseconds: longer than any test, a deadline that passes, and the longest time of such a test on a slow machine. */
const LONG = 600_000;
const SHORT = 700;
const PATIENCE = 6000;

// The SDK's other settings, so that it asks nothing of this machine.
process.env.AWS_EC2_METADATA_DISABLED = 'true';
process.env.AWS_CONFIG_FILE = process.env.AWS_SHARED_CREDENTIALS_FILE = '/dev/null';

interface Opened {
  readonly ec2: Ec2StandIn;
  readonly state: InstanceState;
  readonly lines: Line[];
}

interface Options {
  readonly onDeath?: InstanceStateOptions['onDeath'];
  readonly find?: () => Promise<HostFacts>;
  readonly credentials?: false;
}

async function open(t: TestContext, options: Options = {}): Promise<Opened> {
  const { onDeath = 'tag', find = async () => FACTS, credentials = true } = options;
  const ec2 = await Ec2StandIn.open();
  const { AWS_ENDPOINT_URL_EC2 = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = ec2.settings;
  Object.assign(process.env, credentials ? { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } : {});
  const lines: Line[] = [];
  const log = createLogger({
    level: 'trace',
    stream: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const metadata = new Metadata(find);
  const state = new InstanceState({ metadata, onDeath, endpoint: new URL(AWS_ENDPOINT_URL_EC2), log });
  t.after(async () => {
    state.close();
    delete process.env.AWS_ACCESS_KEY_ID;
    delete process.env.AWS_SECRET_ACCESS_KEY;
    await ec2[Symbol.asyncDispose]();
  });
  return { ec2, state, lines };
}

/** The only line that reports a failure. */
function failureIn(lines: readonly Line[]): string {
  const [{ level, msg } = assert.fail('nothing was logged'), ...more] = lines;
  assert.deepEqual(more, []);
  assert.equal(level, 'error');
  return String(msg);
}

async function inTime(asking: Promise<void>): Promise<void> {
  const beginning = performance.now();
  await asking;
  const took = performance.now() - beginning;
  assert.ok(took < PATIENCE, `it took ${took} ms`);
}

suite('the state of an instance', { timeout: 60_000 }, () => {
  test('each state is a tag of this instance and of no other, in its region', async (t) => {
    const { ec2, state } = await open(t, { find: async () => ({ ...FACTS, region: 'eu-central-1' }) });
    await state.running(LONG);
    await state.draining(LONG);
    await state.stopped(LONG);
    await state.dead('no memory left', LONG);
    assert.deepEqual(ec2.story, ['running', 'draining', 'stopped', 'dead because of no memory left']);
    for (const { action, instances, signedBy } of ec2.calls) {
      assert.deepEqual([action, instances], ['CreateTags', [FACTS.instanceId]]);
      assert.equal(signedBy, `${S3_KEY_ID} eu-central-1/ec2`);
    }
  });

  test('the cause of a crash is cut to 256 characters, without characters that a tag cannot contain', async (t) => {
    const { ec2, state, lines } = await open(t);
    for (const [cause, told] of [
      [
        'cannot listen on [::]:1: "in use"\n\tby (7), at ü/ñ=@+-_',
        'cannot listen on :: :1: in use by 7 at ü/ñ=@+-_',
      ],
      ['x'.repeat(300), 'x'.repeat(256)],
      [`${'x'.repeat(255)}𠮷`, 'x'.repeat(255)],
      ['AWS:reserved', 'reserved'],
      ['!', ''],
    ] as const) {
      await state.dead(cause, LONG);
      assert.equal(ec2.story.at(-1)?.replaceAll(/ +/g, ' '), `dead because of ${told}`);
    }
    const anything = fc.string({ unit: 'binary', maxLength: 400, size: 'max' });
    await fc.assert(
      fc.asyncProperty(anything, (cause) => state.dead(cause, LONG)),
      { numRuns: 50 },
    );
    assert.ok(
      lines.every(({ level }) => level === 'info'),
      'EC2 refused one request',
    );
  });

  test('the request for a tag is retried until EC2, which throttles at first, accepts it', async (t) => {
    const { ec2, state, lines } = await open(t);
    ec2.refusal = 'RequestLimitExceeded';
    const asking = state.running(LONG);
    for (const count of [1, 2]) await ec2.call(() => ec2.calls.length > count);
    ec2.refusal = undefined;
    await asking;
    assert.ok(ec2.calls.length > 2);
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [['info', 'EC2 accepted the request to tag this instance as running']],
    );
  });

  test('a later state silently ends the attempts to report the earlier one', async (t) => {
    const { ec2, state, lines } = await open(t);
    ec2.refusal = 'RequestLimitExceeded';
    const before = state.running(LONG);
    await ec2.call(() => true);
    ec2.refusal = undefined;
    await state.stopped(LONG);
    await before;
    assert.equal(ec2.story.at(-1), 'stopped');
    assert.equal(lines.length, 1);
  });

  test('the caller can abandon the report that the instance runs', async (t) => {
    const { ec2, state, lines } = await open(t);
    await ec2.turn('hangs');
    const end = new AbortController();
    const asking = state.running(LONG, end.signal);
    await ec2.call(() => true);
    end.abort();
    await asking;
    assert.deepEqual(lines, []);
  });

  test('missing facts are requested again', async (t) => {
    let asked = 0;
    const find = async () => (++asked < 3 ? assert.fail('not yet') : FACTS);
    const { ec2, state } = await open(t, { find });
    await state.running(LONG);
    assert.deepEqual(ec2.story, ['running']);
  });
});

suite('the termination of an instance', { timeout: 60_000 }, () => {
  test('ON_DEATH=terminate terminates this instance and no other, and ON_DEATH=tag terminates none', async (t) => {
    const tagging = await open(t);
    await tagging.state.terminate(LONG);
    assert.deepEqual(tagging.ec2.calls, []);
    const { ec2, state } = await open(t, { onDeath: 'terminate' });
    await state.terminate(LONG);
    assert.deepEqual(
      ec2.calls.map(({ action, instances }) => [action, instances]),
      [['TerminateInstances', [FACTS.instanceId]]],
    );
  });
});

suite('an EC2 that fails', { timeout: 60_000, concurrency: false }, () => {
  const ACTIONS = ['ec2:CreateTags', 'ec2:TerminateInstances'] as const;
  const ask = (state: InstanceState, action: (typeof ACTIONS)[number], milliseconds: number) =>
    action === 'ec2:CreateTags' ? state.dead('x', milliseconds) : state.terminate(milliseconds);

  for (const action of ACTIONS) {
    for (const refusal of ['UnauthorizedOperation', 'AuthFailure'] satisfies Refusal[]) {
      test(`${refusal} of ${action} is final, and logged in one line that names the missing right`, async (t) => {
        const { ec2, state, lines } = await open(t, { onDeath: 'terminate' });
        ec2.refusal = refusal;
        await ask(state, action, LONG);
        assert.equal(ec2.calls.length, 1);
        const what = action === 'ec2:CreateTags' ? 'tag this instance as dead' : 'terminate this instance';
        const status = refusal === 'AuthFailure' ? 401 : 403;
        assert.equal(
          failureIn(lines),
          `EC2 did not ${what}: ${refusal}, status ${status}; check that this host can reach EC2, and that the role of this instance allows ${action}`,
        );
        assert.doesNotMatch(JSON.stringify(lines), /Encoded|Signature/);
      });
    }

    for (const fault of [
      ...(['refuses', 'silent', 'resets', 'hangs', 'drips', '500'] as const),
      'RequestLimitExceeded' as const,
    ] satisfies (Fault | Refusal)[]) {
      test(`a failing EC2 (${fault}) delays no caller of ${action} beyond the deadline`, async (t) => {
        const { ec2, state, lines } = await open(t, { onDeath: 'terminate' });
        if (fault === 'RequestLimitExceeded') ec2.refusal = fault;
        else await ec2.turn(fault);
        await inTime(ask(state, action, SHORT));
        assert.match(failureIn(lines), new RegExp(`^EC2 did not .*allows ${action}$`));
      });
    }

    test(`an invalid answer to ${action} does no harm`, async (t) => {
      const { ec2, state, lines } = await open(t, { onDeath: 'terminate' });
      await ec2.turn('garbage');
      await inTime(ask(state, action, SHORT));
      assert.ok(ec2.calls.length > 0);
      assert.equal(lines.length, 1);
    });
  }

  test('without credentials EC2 is not called, and the log says so once', async (t) => {
    const { ec2, state, lines } = await open(t, { credentials: false });
    await state.running(LONG);
    assert.match(
      failureIn(lines),
      /^EC2 did not tag this instance as running: .*credentials.*allows ec2:CreateTags$/,
    );
    assert.equal(ec2.connections, 0);
  });

  test('facts that never arrive delay no caller', async (t) => {
    const { ec2, state, lines } = await open(t, { find: () => new Promise(() => {}) });
    await inTime(state.dead('x', SHORT));
    assert.match(failureIn(lines), /did not finish within 700 ms/);
    assert.equal(ec2.connections, 0);
  });

  test('on a machine that is not an EC2 instance, EC2 is not called, and the log says so once', async (t) => {
    for (const elsewhere of [{ region: 'local' }, { instanceId: 'a-host' }]) {
      const find = async () => ({ ...FACTS, ...elsewhere });
      const { ec2, state, lines } = await open(t, { find, onDeath: 'terminate' });
      await state.running(LONG);
      await state.dead('x', LONG);
      await state.terminate(LONG);
      assert.deepEqual(
        lines.map(({ level, msg }) => [level, msg]),
        [['warn', 'this is not an EC2 instance, so ON_DEATH has no effect']],
      );
      assert.equal(ec2.connections, 0);
    }
  });
});

test('the service loads the EC2 SDK only to report the state of its instance', async () => {
  const root = join(import.meta.dirname, '../..');
  const program = `
    import { createRequire } from 'node:module';
    const { cache } = createRequire(import.meta.url);
    const loaded = () => Object.keys(cache).some((path) => path.includes('/client-ec2/'));
    await import('./src/main.ts');
    const before = loaded();
    const { InstanceState } = await import('./host/instance-state.ts');
    new InstanceState({});
    while (!loaded()) await new Promise(setImmediate);
    console.log(before);`;
  const words = ['--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: root, timeout: 30_000 });
  assert.equal(stdout, 'false\n');
});
