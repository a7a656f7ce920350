/** A lock that a person holds, so that no release changes the stage. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { configOf } from '../src/config/read.ts';
import { Ledger } from '../src/record/ledger.ts';
import { connect, type Decide } from './support/connection.ts';
import { hold, imagesOn, makeAlone, makeRelease, unlock } from './support/release-process.ts';
import { SimulatedAws } from './support/simulated-aws.ts';
import { run } from './support/tool.ts';
import { randomOf, VirtualTime } from './support/virtual-time.ts';

const ACCOUNT = '123456789012';
const config = configOf(
  `
application: shop
stages: { live: { account: '${ACCOUNT}', region: us-east-1, cluster: c, record: memory } }
images: { app: { repository: app } }
services: { a: { service: a, containers: { app: { image: app } } } }
release: { timeout: 5m, poll: 5s }
`,
  'live',
  {},
  'test',
);
const NEVER: Decide = () => undefined;
const PLACE = 'shop/live/stage.json';

function makeAws(): SimulatedAws {
  const aws = new SimulatedAws(new VirtualTime(randomOf(1)));
  aws.addService('a', aws.addDefinition('a', 'old'));
  return aws;
}

const stateOf = (aws: SimulatedAws) => JSON.parse(aws.objects.get(PLACE)?.text ?? '{}');
const ledgerOf = (aws: SimulatedAws, owner: string) =>
  new Ledger(connect(aws, owner, NEVER).store, aws.time.clockOf(owner), 'shop', 'live');

async function alone<T>(aws: SimulatedAws, made: Promise<T>): Promise<T> {
  made.catch(() => {});
  await aws.time.run();
  return await made;
}

test('a hold is never stale: a release that waits for it is refused in the end, and works after unlock', async () => {
  const aws = makeAws();
  assert.equal(await alone(aws, hold(aws, 'person', NEVER)), 'held');
  const begun = aws.time.now;
  assert.equal(await makeAlone(aws, 'early', { config, image: 'one' }), 'locked');
  assert.ok(aws.time.now - begun >= 30 * 60_000);
  assert.deepEqual([[...imagesOn(aws)], stateOf(aws).lock.owner], [['old'], 'person']);
  const asked = aws.time.now;
  assert.equal(await alone(aws, unlock(aws, 'other', NEVER)), 'nothing to do');
  assert.ok(aws.time.now - asked < 10_000, 'unlock waited for a process that does not exist');
  assert.deepEqual([stateOf(aws).lock, stateOf(aws).inFlight], [undefined, undefined]);
  assert.equal(await makeAlone(aws, 'next', { config, image: 'two' }), 'deployed');
});

test('a second hold is refused at once, and the error names the person, the age, the reason and unlock', async () => {
  const aws = makeAws();
  const first = { owner: 'alice', reason: 'a migration', patience: 600_000, onWait: () => {} };
  await alone(aws, ledgerOf(aws, 'alice').hold(first));
  aws.time.now += 3_600_000;
  const message = /alice has the lock .* as a hold, taken 1 h 0 min ago: "a migration".*"ecs-release unlock"/;
  const begun = aws.time.now;
  const second = ledgerOf(aws, 'bob').hold({ ...first, owner: 'bob' });
  await assert.rejects(alone(aws, second), { kind: 'locked', message });
  assert.ok(aws.time.now - begun < 10_000, 'the second hold waited');
  const release = ledgerOf(aws, 'ci').lock({ release: '1', owner: 'ci', patience: 0, onWait: () => {} });
  await assert.rejects(alone(aws, release), { kind: 'locked', message });
  assert.equal(stateOf(aws).lock.owner, 'alice');
});

test('a hold waits for a running release, which ends as usual', async () => {
  const aws = makeAws();
  let held: Promise<string> | undefined;
  const decide: Decide = (name) => {
    if (name === 'UpdateService') held ??= hold(aws, 'person', NEVER);
    return undefined;
  };
  assert.equal(await makeAlone(aws, 'holder', { config, image: 'one', decide }), 'deployed');
  assert.equal(await held, 'held');
  assert.deepEqual(aws.violations, []);
  assert.deepEqual([[...imagesOn(aws)], stateOf(aws).lock.owner], [['one'], 'person']);
});

test('a hold supersedes no release that waits, and is superseded by none', async () => {
  const aws = makeAws();
  await alone(aws, hold(aws, 'person', NEVER));
  const waiting = makeRelease(aws, 'waiting', { config, image: 'one' });
  const clock = aws.time.clockOf('person');
  const again = clock.sleep(60_000).then(async () => {
    assert.notEqual(stateOf(aws).waiting, undefined);
    await unlock(aws, 'person', NEVER);
    return await hold(aws, 'person', NEVER);
  });
  assert.equal(await alone(aws, again), 'held');
  // Whichever came first has the lock first. The other one waits for it, or is refused.
  const end = await waiting;
  assert.ok(end === 'deployed' || end === 'locked', end);
});

test('after a hold that followed a killed release, the next release still rolls it back first', async () => {
  const aws = makeAws();
  const decide: Decide = (name) => (name === 'UpdateService' ? 'die after' : undefined);
  void makeRelease(aws, 'dead', { config, image: 'one', decide });
  await aws.time.run();
  const { inFlight } = stateOf(aws);
  const begun = aws.time.now;
  assert.equal(await alone(aws, hold(aws, 'person', NEVER)), 'held');
  assert.ok(aws.time.now - begun > 60_000, 'the hold took a lock that was not stale');
  await alone(aws, unlock(aws, 'person', NEVER));
  assert.deepEqual([stateOf(aws).lock, stateOf(aws).inFlight], [undefined, inFlight]);
  assert.equal(await makeAlone(aws, 'next', { config, image: 'bad' }), 'deployed');
  assert.deepEqual([...imagesOn(aws)], ['bad']);
});

test('lock --hold takes the lock with a reason, status and lock print it, a deploy is refused, and unlock removes it', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'release-hold-'));
  const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/release/session`;
  const sts = createServer((_, response) => {
    const answer = `<Account>${ACCOUNT}</Account><Arn>${arn}</Arn>`;
    response.end(
      `<GetCallerIdentityResponse><GetCallerIdentityResult>${answer}</GetCallerIdentityResult></GetCallerIdentityResponse>`,
    );
  }).listen(0, '127.0.0.1');
  await once(sts, 'listening');
  const { port } = sts.address() as { port: number };
  await writeFile(
    join(place.path, 'ecs-release.yaml'),
    `application: shop
stages: { live: { account: '${ACCOUNT}', region: us-east-1, cluster: c, record: ${place.path} } }
`,
  );
  // In a CI, the owner would be a build.
  for (const name of ['GITHUB_RUN_ID', 'BITBUCKET_BUILD_NUMBER']) delete process.env[name];
  const env = {
    ...{ AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' },
    USER: 'alice',
  };
  const tool = async (...words: readonly string[]) =>
    await run([...words, '--stage', 'live'], { cwd: place.path, env });
  const said = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await tool(...words);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  try {
    const dry = await said('lock', '--hold', 'a migration', '--dry-run');
    assert.equal(dry, 'Nobody has the lock. You would have it as a hold: "a migration".\n');
    assert.equal((await tool('lock', '--hold', ' ')).code, 2);
    const { token, ...held } = JSON.parse(await said('lock', '--hold', ' a\nmigration', '--json'));
    assert.deepEqual([typeof token, held.owner, held.reason], ['string', `alice (${arn})`, 'a migration']);
    const claim = /alice \(arn:\S+\) .*as a hold, taken \d+ s ago: "a migration"/;
    for (const printed of [await said('lock'), await said('status'), await said('unlock', '--dry-run')])
      assert.match(printed, claim);
    assert.equal(JSON.parse(await said('status', '--json')).lock.token, token);
    const refused = await tool('deploy', '--lock-timeout', '0');
    assert.equal(refused.code, 5, refused.stderr);
    assert.match(refused.stderr, claim);
    assert.match(refused.stderr, /"ecs-release unlock"/);
    const waited = await tool('deploy', '--lock-timeout', '100ms');
    assert.match(waited.stderr, /waiting for alice .* as a hold, .*; "ecs-release unlock" removes the hold/);
    assert.match(await said('unlock'), /^The hold of alice .* was removed: "a migration"\.\n$/);
    assert.equal(await said('lock'), 'Nobody has the lock.\n');
  } finally {
    sts.closeAllConnections();
    sts.close();
  }
});

test('a lock that an older version wrote is the lock of a release', async () => {
  const aws = makeAws();
  const date = new Date(aws.time.now).toISOString();
  const lock = { token: 't', owner: 'old tool', release: 'R', takenAt: date, beat: 3, beatAt: date };
  aws.objects.set(PLACE, { text: JSON.stringify({ lock, inFlight: 'R' }), version: '1' });
  const request = { owner: 'person', reason: 'a migration', patience: 0, onWait: () => {} };
  const message = /old tool has it for R, taken \d+ s ago, last sign of life/;
  await assert.rejects(alone(aws, ledgerOf(aws, 'person').hold(request)), { kind: 'locked', message });
  assert.equal(await alone(aws, hold(aws, 'person', NEVER)), 'held');
  assert.equal(stateOf(aws).inFlight, 'R');
});
