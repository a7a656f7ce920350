/** The service's own log in CloudWatch, which a server on loopback simulates. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudWatchLog } from '../../host/cloudwatch-log.ts';
import { Recorder, type Reply, type Request } from '../support/recorder.ts';

/** Milliseconds that are longer than any test. */
const LONG = 10_000;
const DAY = 86_400_000;

interface Put {
  readonly logGroupName: string;
  readonly logStreamName: string;
  readonly logEvents: readonly { readonly timestamp: number; readonly message: string }[];
}

class Place implements AsyncDisposable {
  readonly server: Recorder;
  readonly reports: (readonly [string, object])[] = [];
  readonly log: CloudWatchLog;
  readonly #before = process.env.AWS_ENDPOINT_URL;

  static async open(reply: (call: string) => Reply | undefined, region = async () => 'eu-west-1') {
    const ok = { status: 200, body: '{}' };
    return new Place(await Recorder.open({ reply: (request) => reply(callOf(request)) ?? ok }), region);
  }

  private constructor(server: Recorder, region: () => Promise<string>) {
    this.server = server;
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: server.url,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_ACCESS_KEY_ID: 'AKIATEST',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
    this.log = new CloudWatchLog({
      group: '/own',
      region,
      host: async () => 'host-id',
      report: (fields, message) => void this.reports.push([message, fields]),
    });
  }

  write(msg: string, time = Date.now()): void {
    this.log.write(`${JSON.stringify({ level: 'info', time: new Date(time).toISOString(), msg })}\n`);
  }

  get calls(): string[] {
    return this.server.requests.map(callOf);
  }

  get puts(): Put[] {
    return this.server.requests
      .filter((one) => callOf(one) === 'PutLogEvents')
      .map(({ body }) => JSON.parse(body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log.drain(0);
    await this.server.close();
    if (this.#before === undefined) delete process.env.AWS_ENDPOINT_URL;
  }
}

function callOf({ headers }: Request): string {
  return String(headers['x-amz-target']).split('.').at(-1) ?? '';
}

function refusal(__type: string): Reply {
  return { status: 400, body: JSON.stringify({ __type, message: 'no' }) };
}

test('the log goes to its own log stream, and a missing log group is created', async () => {
  let isThere = false;
  await using place = await Place.open((call) => {
    if (call === 'CreateLogGroup') isThere = true;
    return call === 'CreateLogStream' && !isThere ? refusal('ResourceNotFoundException') : undefined;
  });
  const time = Date.parse('2026-03-04T05:06:07.008Z');
  place.write('first', time);
  place.write('second', time + 1);
  assert.equal(await place.log.drain(LONG), 0);
  assert.deepEqual(place.calls, ['CreateLogStream', 'CreateLogGroup', 'CreateLogStream', 'PutLogEvents']);
  const [put] = place.puts;
  assert.equal(put?.logGroupName, '/own');
  assert.match(put.logStreamName, /^host-id\/\d{4}\/\d\d\/\d\d\/[0-9a-f-]{36}$/);
  assert.deepEqual(
    put.logEvents.map(({ timestamp, message }) => [timestamp, JSON.parse(message).msg]),
    [
      [time, 'first'],
      [time + 1, 'second'],
    ],
  );
  assert.deepEqual(place.reports, []);
});

test('if another host creates the log group at the same moment, both use it', async () => {
  let isThere = false;
  await using place = await Place.open((call) => {
    if (call === 'CreateLogStream' && !isThere) return refusal('ResourceNotFoundException');
    if (call !== 'CreateLogGroup') return undefined;
    isThere = true;
    return refusal('ResourceAlreadyExistsException');
  });
  place.write('one');
  assert.equal(await place.log.drain(LONG), 0);
  assert.equal(place.puts.length, 1);
});

test('if the log stream was removed, lines go to a new one', async () => {
  let removals = 1;
  await using place = await Place.open((call) =>
    call === 'PutLogEvents' && removals-- > 0 ? refusal('ResourceNotFoundException') : undefined,
  );
  place.write('one');
  assert.equal(await place.log.drain(LONG), 0);
  const [before, now] = place.puts;
  assert.deepEqual(before?.logEvents, now?.logEvents);
  assert.notEqual(before?.logStreamName, now?.logStreamName);
});

test('lines that CloudWatch does not accept are counted', async () => {
  const rejectedLogEventsInfo = { tooOldLogEventEndIndex: 1, tooNewLogEventStartIndex: 3 };
  await using place = await Place.open((call) =>
    call === 'PutLogEvents' ? { status: 200, body: JSON.stringify({ rejectedLogEventsInfo }) } : undefined,
  );
  for (const name of ['too old', 'one', 'two', 'too new']) place.write(name);
  place.write('x'.repeat(2 ** 18));
  assert.equal(await place.log.drain(LONG), 3);
  await using refusing = await Place.open((call) =>
    call === 'PutLogEvents' ? refusal('InvalidParameterException') : undefined,
  );
  refusing.write('one');
  assert.equal(await refusing.log.drain(LONG), 1);
});

test('lines that span more than a day, as after an outage, are sent in several calls', async () => {
  await using place = await Place.open(() => undefined);
  const now = Date.now();
  for (const days of [3, 2.5, 1, 0]) place.write(`${days} days ago`, now - days * DAY);
  assert.equal(await place.log.drain(LONG), 0);
  assert.deepEqual(
    place.puts.map(({ logEvents }) => logEvents.map(({ message }) => JSON.parse(message).msg)),
    [['3 days ago', '2.5 days ago'], ['1 days ago'], ['0 days ago']],
  );
});

test('if CloudWatch refuses this host, this is reported once with the reason, and lines wait', async () => {
  await using place = await Place.open(() => refusal('AccessDeniedException'));
  place.write('one');
  place.write('two');
  assert.equal(await place.log.drain(300), 2);
  assert.deepEqual(place.reports, [
    ['CloudWatch does not take the log; trying again', { why: 'AccessDeniedException, status 400' }],
  ]);
});

test('if the region is unknown, no lines are sent to CloudWatch, and the error says what to set', async () => {
  await using place = await Place.open(
    () => undefined,
    () => Promise.reject(new Error('the region of this host is not known; set AWS_REGION')),
  );
  place.write('one');
  assert.equal(await place.log.drain(100), 1);
  assert.deepEqual(place.reports[0]?.[1], {
    why: 'the region of this host is not known; set AWS_REGION',
  });
  assert.deepEqual(place.calls, []);
});
