import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { millisecondsOf, wordsOf } from '../src/config/duration.ts';
import { interpolate } from '../src/config/interpolate.ts';
import { configOf, tagsOf } from '../src/config/read.ts';
import { registryOf } from '../src/config/registry.ts';
import { ReleaseFile } from '../src/config/schema.ts';
import { ReleaseError } from '../src/errors.ts';

const PACKAGE = join(import.meta.dirname, '..');
const BASE = `
application: shop
variables: { repo: 'shop/{stage}', many: 3 }
stages:
  staging:
    { account: '123456789012', region: eu-west-1, cluster: c, record: r, tags: ['staging-{commit}'] }
  prod:
    { account: '123456789012', region: eu-west-1, cluster: c, record: r, tags: ['prod-{tag}'], variables: { many: 9 } }
images: { web: { repository: '{repo}' } }
kinds: { portal: { count: '{many}', vcpu: 0.25, memory: 512 } }
services: { portal: { service: 'portal-{stage}', kind: portal, containers: { app: { image: web } } } }
`;

const refusal = (source: string, stage = 'staging') => {
  try {
    configOf(source, stage, {}, 'the file');
  } catch (error) {
    assert.ok(error instanceof ReleaseError && error.kind === 'usage', String(error));
    return error.message;
  }
  return assert.fail('it was taken');
};

test('placeholders are replaced with values, and the values of a stage take precedence', () => {
  const [staging, prod] = ['staging', 'prod'].map((stage) => configOf(BASE, stage, {}, 'the file'));
  assert.equal(staging?.images?.web?.repository, 'shop/staging');
  assert.equal(staging?.services?.portal?.service, 'portal-staging');
  assert.deepEqual([staging?.kinds.portal?.count, prod?.kinds.portal?.count], [3, 9]);
});

test('a value that only a push needs may be missing until the push', () => {
  const prod = configOf(BASE, 'prod', { commit: 'abc' }, 'the file');
  assert.throws(() => tagsOf(prod), /The configuration uses \{tag\}, which has no value/);
  assert.deepEqual(tagsOf(configOf(BASE, 'prod', { tag: '1.2' }, 'the file')), ['prod-1.2']);
});

test('the error for an invalid configuration names the place and the valid alternatives', () => {
  assert.match(refusal(BASE, 'live'), /has no stage "live"\. It has staging, prod/);
  assert.match(
    refusal(BASE.replace('kind: portal', 'kind: portl')),
    /service portal has the unknown kind "portl".*portal/,
  );
  assert.match(
    refusal(BASE.replace('image: web', 'image: wep')),
    /has the unknown image "wep"\. There are: web/,
  );
  assert.match(refusal(BASE.replace('cluster: c', 'clutser: c')), /\/stages\/staging: .*clutser/s);
  assert.match(refusal(BASE.replace('{repo}', '{rebo}')), /uses \{rebo\}, which has no value/);
  assert.match(refusal(BASE.replace('vcpu: 0.25', 'vcpu: 0.24')), /0\.24 vCPU, which Fargate does not offer/);
  assert.match(
    refusal(BASE.replace('memory: 512', 'memory: 4096')),
    /4096 MiB with 0\.25 vCPU.*512, 1024, 2048/,
  );
  assert.match(refusal('a: ['), /is not YAML/);
});

test('only images in ECR count as ECR images, whatever their account and region', () => {
  const at = (registry: string) => BASE.replace("'{repo}' }", `'{repo}', registry: '${registry}' }`);
  for (const foreign of [
    'public.ecr.aws',
    'gcr.io',
    '123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example',
  ])
    assert.match(refusal(at(foreign)), /is in .*, which is not ECR\. Copy it to ECR with "mirror"/);
  const tools = '210987654321.dkr.ecr.us-east-2.amazonaws.com';
  const { stage, images } = configOf(at(tools), 'staging', {}, 'the file');
  assert.deepEqual(registryOf(stage, images?.web ?? { repository: '' }), {
    host: tools,
    account: '210987654321',
    region: 'us-east-2',
  });
  assert.equal(
    registryOf({ account: '123456789012', region: 'cn-north-1' }, { repository: 'web' }).host,
    '123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn',
  );
});

test('a placeholder alone keeps the type of its value, and double braces become single ones', () => {
  assert.deepEqual(interpolate({ a: '{n}', b: 'x{n}', c: '{{n}}', d: [null, true] }, { n: 7 }), {
    a: 7,
    b: 'x7',
    c: '{n}',
    d: [null, true],
  });
});

test('values without braces are not changed', () => {
  const plain = fc.string().map((text) => text.replaceAll('{', '('));
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      plain,
      fc.integer(),
      fc.boolean(),
      fc.array(tie('any')),
      fc.dictionary(plain, tie('any'), { noNullPrototype: true }),
    ),
  })).any;
  fc.assert(fc.property(value, (one) => assert.deepEqual(interpolate({ one }, {}), { one })));
});

test('durations are parsed and formatted as people write them', () => {
  assert.deepEqual(['90s', '30m', '2h', '500ms'].map(millisecondsOf), [90_000, 1_800_000, 7_200_000, 500]);
  assert.deepEqual([5000, 150_000, 7_500_000, 7_776_000_000].map(wordsOf), [
    '5 s',
    '2 min 30 s',
    '2 h 5 min',
    '90 d 0 h',
  ]);
});

test('the schema for editors is generated from the schema in the code', () => {
  const written = readFileSync(join(PACKAGE, 'ecs-release.schema.json'), 'utf8');
  assert.deepEqual(JSON.parse(written), JSON.parse(JSON.stringify(ReleaseFile)), 'run "make docs"');
});

test('both examples are complete configurations for each of their stages', () => {
  for (const [name, stages] of [
    ['managr', ['staging', 'prod', 'pr']],
    ['cgap', ['mastertest', 'blue']],
  ] as const) {
    const source = readFileSync(join(PACKAGE, `example/${name}.yaml`), 'utf8');
    for (const stage of stages) {
      const config = configOf(source, stage, { commit: 'abc', tag: '1.0', pr: '7' }, name);
      const { images, services, tasks, scheduled } = config;
      assert.doesNotMatch(JSON.stringify({ images, services, tasks, scheduled }), /\{[a-z]+\}/);
      assert.ok(tagsOf(config).length > 0);
    }
  }
});
