/** The doctor's findings about AWS, registries and the clock of the cloud. Servers on loopback simulate all of them. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { findAwsRights } from '../../src/doctor/aws-rights.ts';
import { findCloud, findSkew } from '../../src/doctor/cloud-checks.ts';
import type { Finding } from '../../src/doctor/host-checks.ts';
import { findNodes } from '../../src/doctor/node-checks.ts';
import { Recorder, type Reply, type Request } from '../support/recorder.ts';

const IMAGE = '123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web';
const NODE_LOGS = { group: '/app', of: 'nodes', region: 'eu-west-1' } as const;
const OWN_LOG = { group: '/own', of: 'service', region: 'eu-west-1' } as const;

/** AWS's answers, by the last part of the call's name. */
let answers: Readonly<Record<string, Reply>> = {};
let aws: Recorder;
before(async () => {
  aws = await Recorder.open({ reply: (request) => answers[callOf(request)] ?? { status: 200, body: '{}' } });
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: aws.url,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: 'AKIATEST',
    AWS_SECRET_ACCESS_KEY: 'test',
  });
});
after(() => aws.close());

function callOf({ headers, body }: Request): string {
  const target = String(headers['x-amz-target'] ?? new URLSearchParams(body).get('Action') ?? '');
  return target.split('.').at(-1) ?? '';
}

function refusal(__type: string): Reply {
  const headers = { 'content-type': 'application/x-amz-json-1.1' };
  return { status: 400, headers, body: JSON.stringify({ __type, message: 'no' }) };
}

const identity = (body: string): Reply => ({ status: 200, headers: { 'content-type': 'text/xml' }, body });
const IDENTITY = identity(
  '<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:role/host</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>',
);

const lines = (findings: readonly Finding[]) =>
  findings.map(({ grade, check, found }) => `${grade} ${check}: ${found}`);

test('a right counts as proven if AWS says "not found", as missing if AWS denies it, and otherwise as not proven', async () => {
  answers = {
    BatchGetImage: refusal('RepositoryNotFoundException'),
    GetDownloadUrlForLayer: refusal('AccessDeniedException'),
    PutLogEvents: refusal('ResourceNotFoundException'),
    CreateLogStream: refusal('ThrottlingException'),
  };
  const found = await findAwsRights([IMAGE], [NODE_LOGS, OWN_LOG]);
  assert.deepEqual(lines(found), [
    'ok AWS rights: proven: ecr:GetAuthorizationToken, ecr:BatchGetImage of team/web, ecr:BatchCheckLayerAvailability of team/web, logs:PutLogEvents in /app/node/*, logs:PutLogEvents in /own',
    'error AWS rights: missing: ecr:GetDownloadUrlForLayer of team/web',
    'warning AWS rights: not proven: logs:CreateLogStream in /app/node/* (ThrottlingException, status 400)',
    'ok AWS rights: not tried: logs:CreateLogGroup in /app/node/*, because the call would create something; logs:CreateLogGroup in /own, because the call would create something; logs:CreateLogStream in /own, because the call would create something',
  ]);
});

test('the check of rights names only things that do not exist, so it makes, reads and pulls nothing', async () => {
  answers = {};
  aws.requests.length = 0;
  await findAwsRights([IMAGE], [NODE_LOGS, OWN_LOG]);
  const asked = (name: string) =>
    aws.requests.filter((request) => callOf(request) === name).map(({ body }) => JSON.parse(body));
  const zeros = `sha256:${'0'.repeat(64)}`;
  assert.deepEqual(asked('BatchGetImage')[0].imageIds, [{ imageDigest: zeros }]);
  assert.equal(asked('GetDownloadUrlForLayer')[0].layerDigest, zeros);
  assert.match(asked('CreateLogStream')[0].logGroupName, /^\/app\/node\/doctor-[0-9a-f-]{36}$/);
  assert.equal(asked('CreateLogStream').length, 1, 'no stream is made in a group that exists');
  for (const { logStreamName } of asked('PutLogEvents')) assert.match(logStreamName, /^[0-9a-f-]{36}$/);
  assert.equal(asked('CreateLogGroup').length, 0);
});

test('the rights for public images include the bearer token, and log groups of unknown region are named', async () => {
  answers = { GetAuthorizationToken: refusal('AccessDeniedException') };
  const found = await findAwsRights(['public.ecr.aws/x/web'], [{ ...NODE_LOGS, region: undefined }]);
  assert.deepEqual(lines(found), [
    'error AWS rights: missing: ecr-public:GetAuthorizationToken with sts:GetServiceBearerToken',
    'ok AWS rights: not tried: those for logs in /app/node/*, because the region is not known',
  ]);
});

test('the doctor shows the AWS identity of this host, or why it has none', async () => {
  answers = { GetCallerIdentity: IDENTITY };
  const settings = { NODES_FEED: 'echostream', LOG_GROUP_NAME: '/app', APPSYNC_ENDPOINT: aws.url } as const;
  const find = async () => lines(await findCloud(settings, { images: [], region: 'eu-west-1' }));
  assert.ok((await find()).includes('ok AWS credentials: arn:aws:iam::1:role/host'));
  answers = {
    GetCallerIdentity: {
      ...identity('<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>'),
      status: 403,
    },
  };
  const refused = await find();
  assert.ok(refused.includes('error AWS credentials: InvalidClientTokenId, status 403'), refused.join('\n'));
  assert.ok(!refused.some((line) => line.includes('AWS rights')));
});

test("the doctor compares the host's clock with the Date of an answer from the cloud", async () => {
  const skew = async (seconds: number) => {
    const [finding] = await findSkew(new URL(aws.url), () => Date.now() + seconds * 1000);
    return [finding?.grade, finding?.found];
  };
  assert.deepEqual(await skew(0), ['ok', `agrees with ${aws.url} within 30 s`]);
  const [warned, ahead] = await skew(120);
  assert.equal(warned, 'warning');
  assert.match(ahead ?? '', /^this host is 1(?:19|20|21) s ahead of /);
  const [refused, behind] = await skew(-900);
  assert.equal(refused, 'error');
  assert.match(behind ?? '', / s behind /);
  const gone = await Recorder.open({ reply: () => ({ status: 200, body: '' }) });
  await gone.turn('refuses');
  const [finding] = await findSkew(new URL(gone.url));
  assert.equal(finding?.grade, 'warning');
  assert.match(finding?.found ?? '', /^cannot be compared: /);
});

test('the doctor asks each registry of the nodes once, and reports one that does not answer as an error', async () => {
  const images = ['registry.example:1/web:1', 'registry.example:1/api:1', 'on-this-host:1', 'Not An Image'];
  const DOCKER_HOST = '/run/there-is-no-docker.sock';
  const found = await findCloud({ NODES_FEED: 'file', DOCKER_HOST }, { images });
  assert.deepEqual(
    found.map(({ grade, check }) => [grade, check]),
    [['error', 'registry registry.example:1']],
  );
});

test('the doctor says why EchoStream refuses this host, and shows no password', async () => {
  const PASSWORD = { reveal: () => 'a password that nobody sees' } as never;
  answers = { InitiateAuth: refusal('NotAuthorizedException') };
  const [finding] = await findNodes({
    NODES_FEED: 'echostream',
    APP: 'demo',
    TENANT: 't',
    APPSYNC_ENDPOINT: aws.url,
    CLIENT_ID: 'client',
    USER_NAME: 'user',
    USER_POOL_ID: 'us-east-1_abc123',
    PASSWORD,
  });
  assert.deepEqual([finding?.check, finding?.grade], ['EchoStream', 'error']);
  assert.doesNotMatch(JSON.stringify(finding), /that nobody sees/);
});
