/**
 * A simulated AWS on a test host of its own: ministack with a private Docker Engine. ECS's tasks are real containers,
 * and ECR is a real registry.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CreateRepositoryCommand, DescribeRepositoriesCommand, PutImageCommand } from '@aws-sdk/client-ecr';
import {
  CreateClusterCommand,
  CreateServiceCommand,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { Clients } from '../../src/aws/clients.ts';

const MINISTACK = join(import.meta.dirname, '../../../../tools/aws/.venv/bin/ministack');
const PATIENCE = 60_000;
export const PORT = 4566;
export const REGISTRY = `localhost:${PORT}`;
export const ACCOUNT = '000000000000';

const LOGS = {
  logDriver: 'awslogs' as const,
  options: {
    'awslogs-group': '/ecs/shop',
    'awslogs-stream-prefix': 'ecs',
    'awslogs-region': 'us-east-1',
    'awslogs-create-group': 'true',
  },
};

/** For this process and its children. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  AWS_ENDPOINT_URL: `http://127.0.0.1:${PORT}`,
  AWS_ACCESS_KEY_ID: ACCOUNT,
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
  DOCKER_HOST: 'unix:///run/docker.sock',
};

export class AwsHost implements AsyncDisposable {
  readonly clients = new Clients('us-east-1');
  readonly #children: ChildProcess[] = [];

  /** @param hasDocker false: tasks exist only in ministack's answers */
  static async start(hasDocker = true): Promise<AwsHost> {
    assert.equal(process.env.TEST_OWN_HOST, 'yes', 'run it with make test FILES="…", on a host of its own');
    assert.ok(existsSync(MINISTACK), 'ministack is not installed; run make tools/aws/.venv/.stamp');
    Object.assign(process.env, ENVIRONMENT);
    const host = new AwsHost();
    const log = openSync('/run/dockerd.log', 'a');
    if (hasDocker) host.#children.push(spawn('dockerd', [], { stdio: ['ignore', log, log] }));
    if (hasDocker) await answering(() => docker('version'));
    const settings = { BIND_HOST: '127.0.0.1', GATEWAY_PORT: String(PORT), LOG_LEVEL: 'ERROR' };
    const stack = openSync('/run/ministack.log', 'a');
    host.#children.push(
      spawn(MINISTACK, [], { env: { ...process.env, ...settings }, stdio: ['ignore', stack, stack] }),
    );
    await answering(async () => assert.ok((await fetch(`http://127.0.0.1:${PORT}/_localstack/health`)).ok));
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clients[Symbol.asyncDispose]();
    for (const child of this.#children.toReversed()) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
  }

  async makeCluster(name: string): Promise<void> {
    await (await this.clients.ecs()).send(new CreateClusterCommand({ clusterName: name }));
    await (await this.clients.s3()).send(new CreateBucketCommand({ Bucket: 'releases' }));
  }

  async makeRepository(repositoryName: string): Promise<void> {
    const ecr = await this.clients.ecr();
    const known = await ecr.send(new DescribeRepositoriesCommand({}));
    if (known.repositories?.some((one) => one.repositoryName === repositoryName)) return;
    await ecr.send(new CreateRepositoryCommand({ repositoryName }));
  }

  /**
   * Without Docker, this registers an image that cannot run.
   * @returns its digest
   */
  async putImage(repositoryName: string, imageTag: string): Promise<string> {
    const imageManifest = JSON.stringify({ schemaVersion: 2, tag: imageTag });
    const { image } = await (await this.clients.ecr()).send(
      new PutImageCommand({ repositoryName, imageManifest, imageTag }),
    );
    return image?.imageId?.imageDigest ?? '';
  }

  async register(family: string, image: string): Promise<string> {
    const { taskDefinition } = await (await this.clients.ecs()).send(
      new RegisterTaskDefinitionCommand({
        family,
        containerDefinitions: [{ name: 'app', image, memory: 64, essential: true, logConfiguration: LOGS }],
        tags: [{ key: 'team', value: 'shop' }],
      }),
    );
    return taskDefinition?.taskDefinitionArn ?? '';
  }

  async makeService(cluster: string, serviceName: string, taskDefinition: string): Promise<void> {
    const deploymentConfiguration = { deploymentCircuitBreaker: { enable: true, rollback: true } };
    const given = { cluster, serviceName, taskDefinition, desiredCount: 1, deploymentConfiguration };
    await (await this.clients.ecs()).send(new CreateServiceCommand(given));
  }

  async makeRule(rule: string, taskDefinition: string, cluster = 'shop'): Promise<void> {
    const events = await this.clients.events();
    await events.send(new PutRuleCommand({ Name: rule, ScheduleExpression: 'rate(1 day)' }));
    const target = {
      Id: '1',
      Arn: `arn:aws:ecs:us-east-1:${ACCOUNT}:cluster/${cluster}`,
      RoleArn: `arn:aws:iam::${ACCOUNT}:role/events`,
      EcsParameters: { TaskDefinitionArn: taskDefinition, TaskCount: 1 },
    };
    await events.send(new PutTargetsCommand({ Rule: rule, Targets: [target] }));
  }
}

export function docker(...words: readonly string[]): string {
  return execFileSync('docker', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Pushes an image with a shell that runs this script, and with a separate layer of random bytes. */
export function pushImage(reference: string, script: string, bytes = 0): void {
  const directory = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    copyFileSync('/bin/busybox', join(directory, 'busybox'));
    for (const name of ['sh', 'sleep', 'echo', 'cat', 'env']) symlinkSync('busybox', join(directory, name));
    if (bytes > 0) writeFileSync(join(directory, 'random'), randomBytes(bytes));
    const archive = join(directory, 'image.tar');
    execFileSync('tar', [
      '--create',
      '--file',
      archive,
      '--transform=s,^\\.,bin,',
      '--exclude=image.tar',
      '-C',
      directory,
      '.',
    ]);
    docker('import', '--change', `CMD ${JSON.stringify(['/bin/sh', '-c', script])}`, archive, reference);
    docker('push', reference);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A program that runs until it is stopped. */
export const LASTING = 'trap "exit 0" TERM; sleep 3600 & wait';

/** Retries until the call succeeds. */
export async function answering(ask: () => unknown): Promise<void> {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await setTimeout(50);
    }
  }
}
