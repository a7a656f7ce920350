import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { Ec2 } from '../../host/ec2.ts';
import { openS3 } from '../../user-configs/s3-client.ts';
import { Recorder, type Reply, type Request } from '../support/recorder.ts';
import { S3_KEY_ID, S3_SECRET } from '../support/secrets.ts';

const ROLE = '/latest/meta-data/iam/security-credentials/';
const TOKEN = 'x-aws-ec2-metadata-token';

const never = new AbortController().signal;

/** The request of each client; it fails without credentials. */
const CLIENTS: Readonly<Record<string, (endpoint: URL) => { ask(): Promise<unknown>; close(): void }>> = {
  EC2: (endpoint) => {
    const ec2 = new Ec2('us-east-1', endpoint);
    return { ask: () => ec2.tag('i-0123456789abcdef0', { a: 'b' }, never), close: () => ec2.close() };
  },
  S3: (endpoint) => {
    const s3 = openS3('us-east-1', endpoint);
    return {
      ask: () => s3.send(new ListObjectsV2Command({ Bucket: 'bucket' })),
      close: () => s3.destroy(),
    };
  },
};

/** Metadata with a role's credentials, which IMDSv1 requests would get too. */
function metadata(token: () => Reply): (request: Request) => Reply {
  const credentials = {
    Code: 'Success',
    AccessKeyId: S3_KEY_ID,
    SecretAccessKey: S3_SECRET,
    Token: 'session',
    Expiration: new Date(Date.now() + 3_600_000).toISOString(),
  };
  return ({ path }) => {
    if (path === '/latest/api/token') return token();
    if (path === ROLE) return { status: 200, body: 'role' };
    return { status: 200, body: JSON.stringify(credentials) };
  };
}

async function open(t: TestContext, name: string, token: () => Reply) {
  const service = await Recorder.open({ reply: metadata(token) });
  const aws = await Recorder.open({ reply: () => ({ status: 200, body: '<a/>' }) });
  const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...environment } = process.env;
  const before = process.env;
  process.env = {
    ...environment,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: service.url,
    AWS_EC2_METADATA_DISABLED: 'false',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
  const client = CLIENTS[name]?.(new URL(aws.url)) ?? assert.fail();
  t.after(async () => {
    client.close();
    process.env = before;
    await service.close();
    await aws.close();
  });
  return { service, aws, client };
}

const items = ({ requests }: Recorder) => requests.filter(({ path }) => path.startsWith(ROLE));

suite('credentials of an instance', { timeout: 60_000 }, () => {
  for (const name of Object.keys(CLIENTS)) {
    for (const status of [403, 404, 405, 500]) {
      test(`a client of ${name} that gets ${status} for a session token requests no credentials without one`, async (t) => {
        const { service, aws, client } = await open(t, name, () => ({ status, body: '' }));
        await assert.rejects(client.ask());
        await assert.rejects(client.ask());
        assert.ok(service.requests.length > 1);
        assert.deepEqual(items(service), []);
        assert.deepEqual(aws.requests, []);
      });
    }

    test(`a client of ${name} that was refused a session token requests one again`, async (t) => {
      let status = 403;
      const { service, aws, client } = await open(t, name, () => ({ status, body: 'token' }));
      await assert.rejects(client.ask());
      status = 200;
      await client.ask();
      assert.deepEqual(
        items(service).map(({ headers }) => headers[TOKEN]),
        ['token', 'token'],
      );
      assert.match(String(aws.requests[0]?.headers.authorization), new RegExp(S3_KEY_ID));
    });
  }
});
