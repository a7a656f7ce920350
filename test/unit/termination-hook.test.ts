import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as allElseHasRun } from 'node:timers/promises';
import { TerminationHook } from '../../host/termination-hook.ts';
import { createLogger } from '../../logging/logger.ts';
import { AutoScalingStandIn } from '../support/auto-scaling.ts';
import { FACTS } from '../support/world.ts';

process.env.AWS_EC2_METADATA_DISABLED = 'true';
process.env.AWS_CONFIG_FILE = process.env.AWS_SHARED_CREDENTIALS_FILE = '/dev/null';

const never = new AbortController().signal;
const OF = `hosts save-users ${FACTS.instanceId}`;

async function open(t: TestContext) {
  const group = await AutoScalingStandIn.open();
  const { TERMINATION_HOOK: hook = '', AWS_ENDPOINT_URL_AUTO_SCALING, ...keys } = group.settings;
  Object.assign(process.env, keys);
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line).msg) };
  const held = new TerminationHook({
    hook,
    endpoint: new URL(String(AWS_ENDPOINT_URL_AUTO_SCALING)),
    facts: async () => FACTS,
    log: createLogger({ level: 'info', stream }),
    between: 10,
  });
  t.after(async () => {
    await held.close();
    delete process.env.AWS_ACCESS_KEY_ID;
    delete process.env.AWS_SECRET_ACCESS_KEY;
    await group[Symbol.asyncDispose]();
  });
  return { group, held, lines };
}

const counted = (story: readonly string[], beginning: string) =>
  story.filter((one) => one.startsWith(beginning)).length;

suite('the lifecycle hook of a host that terminates', { timeout: 60_000 }, () => {
  test('is extended repeatedly, and completed once, when the host is empty', async (t) => {
    const { group, held, lines } = await open(t);
    const empty = Promise.withResolvers<void>();
    const holding = held.hold(() => empty.promise, never);
    await group.asked(`Record ${OF}`);
    while (counted(group.story, 'Record') < 3) await allElseHasRun();
    assert.equal(counted(group.story, 'Complete'), 0);
    empty.resolve();
    await group.asked(`Complete ${OF} CONTINUE`);
    await holding;
    await held.complete(1000);
    assert.equal(counted(group.story, 'Complete'), 1);
    assert.equal(counted(group.story, 'Describe'), 1);
    assert.deepEqual(lines, ['the host is empty; completed its lifecycle hook']);
  });

  test('is released if the host stays after all, and no needless request is sent', async (t) => {
    const { group, held } = await open(t);
    await held.complete(1000);
    assert.deepEqual(group.story, []);
    const empty = Promise.withResolvers<void>();
    const holding = held.hold(() => empty.promise, never);
    await group.asked('Record');
    held.letGo();
    await holding;
    empty.resolve();
    await allElseHasRun();
    assert.equal(counted(group.story, 'Complete'), 0);
  });

  test('is completed at the end of the service if the host was not empty before', async (t) => {
    const { group, held } = await open(t);
    const ending = new AbortController();
    const holding = held.hold(() => new Promise(() => {}), ending.signal);
    await group.asked('Record');
    await held.complete(5000);
    assert.equal(group.story.at(-1), `Complete ${OF} CONTINUE`);
    ending.abort();
    await holding;
  });

  test('causes one log line for each kind of refused request, with the missing right, and nothing rejects', async (t) => {
    const { group, held, lines } = await open(t);
    group.refusal = { status: 403, code: 'AccessDenied' };
    const over = new AbortController();
    const holding = held.hold(() => new Promise(() => {}), over.signal);
    while (group.story.length < 3) await allElseHasRun();
    await held.complete(5000);
    over.abort();
    await holding;
    assert.equal(lines.length, 2);
    assert.match(
      lines[0] ?? '',
      /^Auto Scaling did not extend .*AccessDenied, status 403.*autoscaling:RecordLifecycleActionHeartbeat/,
    );
    assert.match(lines[1] ?? '', /^Auto Scaling did not complete .*autoscaling:CompleteLifecycleAction/);
  });

  test('is abandoned after its deadline if Auto Scaling does not answer', async (t) => {
    const { group, held, lines } = await open(t);
    group.refusal = { status: 503, code: 'ServiceUnavailable' };
    const over = new AbortController();
    const holding = held.hold(() => new Promise(() => {}), over.signal);
    await group.asked('Describe');
    await held.complete(300);
    over.abort();
    await holding;
    assert.match(lines.at(-1) ?? '', /did not complete its lifecycle hook/);
  });
});
