/**
 * One side of the measurement, in a separate process: `consumer.ts KIND`. It gets its task from its parent, handles all
 * messages, and returns its CPU time, its wall time, and its memory during the run.
 */

import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Consumer } from 'sqs-consumer';
import { AppNode, type NodeOptions } from '../../packages/echostream-node/src/echostream-node.ts';
import { WARM_UP } from './warm-up.ts';

export interface Work {
  readonly options: NodeOptions;
  readonly queueUrl: string;
  readonly environment: Record<string, string>;
  readonly messages: number;
  readonly concurrency: number;
  /** The duration of a handler in milliseconds. */
  readonly handler: number;
}

export interface Result {
  /** Milliseconds. */
  readonly cpu: number;
  readonly wall: number;
  /** Bytes that are in use after a tenth of the messages, and after all. */
  readonly memory: readonly [number, number];
}

const [work] = (await once(process, 'message')) as [Work];
Object.assign(process.env, work.environment);
let handled = 0;
let began = { cpu: process.cpuUsage(), wall: performance.now() };
let early = 0;
const done = Promise.withResolvers<void>();

/**
 * Counts only the memory that the garbage collector leaves in use. How much free memory the process keeps depends only
 * on the machine.
 */
function inUse(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function handle(): Promise<void> {
  if (work.handler > 0 && handled >= WARM_UP) await setTimeout(work.handler);
  handled += 1;
  if (handled === WARM_UP) began = { cpu: process.cpuUsage(), wall: performance.now() };
  if (handled === WARM_UP + work.messages / 10) early = inUse();
  if (handled === WARM_UP + work.messages) done.resolve();
}

/** Temporary credentials, like those that EchoStream gives a node. A program that uses them signs their token too. */
const sqs = () =>
  new SQSClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'bare', secretAccessKey: 'x', sessionToken: 'session' },
  });

class Node extends AppNode {
  override handleReceivedMessage(): Promise<void> {
    return handle();
  }
}

const SIDES: Readonly<Record<string, () => Promise<unknown>>> = {
  ours: () => new Node({ ...work.options, concurrency: work.concurrency }).start(),

  'sqs-consumer': async () =>
    Consumer.create({
      queueUrl: work.queueUrl,
      sqs: sqs(),
      batchSize: 10,
      handleMessageBatch: async (messages) => {
        for (const _ of messages) await handle();
        return messages;
      },
    }).start(),

  /** A straightforward loop. */
  bare: async () => {
    const client = sqs();
    const QueueUrl = work.queueUrl;
    for (;;) {
      const { Messages = [] } = await client.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: 20,
          MessageAttributeNames: ['All'],
          MessageSystemAttributeNames: ['ApproximateReceiveCount', 'MessageGroupId'],
          VisibilityTimeout: 30,
        }),
      );
      for (const _ of Messages) await handle();
      const Entries = Messages.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle }));
      if (Entries.length > 0) await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
  },
};

const run = SIDES[process.argv[2] ?? ''];
if (!run) throw new Error(`no such side: ${process.argv[2]}`);
run().catch(done.reject);
await done.promise;
const { user, system } = process.cpuUsage(began.cpu);
const result: Result = {
  cpu: (user + system) / 1000,
  wall: performance.now() - began.wall,
  memory: [early, inUse()],
};
process.send?.(result);
