/** Both examples, released as they are to an AWS that has what they name. No task really runs. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { CreateRepositoryCommand, PutImageCommand } from '@aws-sdk/client-ecr';
import {
  CreateClusterCommand,
  CreateServiceCommand,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { DescribeRuleCommand, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { Clients } from '../../src/aws/clients.ts';
import { readServices, readTaskDefinition } from '../../src/aws/task-reads.ts';
import { readRule } from '../../src/aws/triggers.ts';
import { configOf, type ReleaseConfig, tagsOf } from '../../src/config/read.ts';
import type { ContainersConfig } from '../../src/config/schema.ts';
import { AwsHost, ENVIRONMENT } from '../support/aws-host.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { run } from '../support/tool.ts';

const VALUES = { commit: 'c0ffee', tag: '1.0', pr: '7' };
const SET = Object.entries(VALUES).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
const NETWORK = { awsvpcConfiguration: { subnets: ['subnet-1'] } };

const pathOf = (example: string) => join(import.meta.dirname, `../../example/${example}.yaml`);

let aws: AwsHost;
let proxy: FaultProxy;

before(async () => {
  aws = await AwsHost.start(false);
  proxy = await FaultProxy.start(ENVIRONMENT.AWS_ENDPOINT_URL ?? '');
});
beforeEach(() => {
  // Each task ends at once, and the services scale automatically.
  proxy.reshape = (action, answer) =>
    action === 'DescribeTasks' ? { ...answer, tasks: ended(answer.tasks as readonly object[]) } : answer;
  proxy.instead = async (action, { ResourceIds }) => {
    if (action === 'DescribeScalableTargets')
      return { ScalableTargets: (ResourceIds as readonly string[]).map((ResourceId) => ({ ResourceId })) };
    return action === 'RegisterScalableTarget' ? {} : undefined;
  };
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await aws[Symbol.asyncDispose]();
});

interface ShownTask {
  readonly containers?: readonly object[];
}

function ended(tasks: readonly ShownTask[]): readonly object[] {
  return tasks.map(({ containers = [], ...task }) => ({
    ...{ ...task, lastStatus: 'STOPPED', stopCode: 'EssentialContainerExited' },
    containers: containers.map((one) => ({ ...one, exitCode: 0 })),
  }));
}

/** A stage of an example, and AWS as its tool sees it. */
class Stage implements AsyncDisposable {
  readonly config: ReleaseConfig;
  readonly clients: Clients;
  readonly #example: string;

  constructor(example: string, stage: string) {
    this.#example = example;
    this.config = configOf(readFileSync(pathOf(example), 'utf8'), stage, VALUES, example);
    const { account, region, role } = this.config.stage;
    // ministack takes a key of twelve digits for an account. A role is assumed from another account.
    process.env.AWS_ACCESS_KEY_ID = role === undefined ? account : '333333333333';
    this.clients = new Clients(region, role);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clients[Symbol.asyncDispose]();
  }

  async tool(command: string, ...words: readonly string[]) {
    const { stage } = this.config;
    const all = [command, ...words, '--config', pathOf(this.#example), '--stage', stage.name, ...SET];
    const ran = await run(all, { cwd: '/tmp', env: { AWS_ENDPOINT_URL: proxy.url } });
    assert.equal(ran.code, 0, `${command}: ${ran.stderr}`);
    return ran;
  }

  async #register(family: string, containers: ContainersConfig): Promise<string> {
    const request = new RegisterTaskDefinitionCommand({
      ...{ family, cpu: '1024', memory: '2048', networkMode: 'awsvpc' },
      requiresCompatibilities: ['FARGATE'],
      containerDefinitions: Object.keys(containers).map((name) => ({ name, image: 'old', essential: true })),
    });
    const { taskDefinition } = await (await this.clients.ecs()).send(request);
    return taskDefinition?.taskDefinitionArn ?? '';
  }

  /** Makes everything that the configuration names. @returns the digest of each image, by repository */
  async make(): Promise<ReadonlyMap<string, string>> {
    const { stage, services = {}, scheduled = {}, tasks = {} } = this.config;
    const ecs = await this.clients.ecs();
    const capacityProviders = ['FARGATE', 'FARGATE_SPOT'];
    await ecs.send(new CreateClusterCommand({ clusterName: stage.cluster, capacityProviders }));
    const Bucket = stage.record.replace(/^s3:\/\/|\/.*$/g, '');
    await (await this.clients.s3()).send(new CreateBucketCommand({ Bucket })).catch(() => {});
    for (const { service, family = service, containers } of Object.values(services)) {
      const taskDefinition = await this.#register(family, containers);
      const made = { cluster: stage.cluster, serviceName: service, taskDefinition, desiredCount: 1 };
      await ecs.send(
        new CreateServiceCommand({ ...made, launchType: 'FARGATE', networkConfiguration: NETWORK }),
      );
    }
    for (const { family, containers } of [...(tasks.before ?? []), ...(tasks.after ?? [])])
      if (containers) await this.#register(family, containers);
    const events = await this.clients.events();
    for (const { families, containers } of Object.values(scheduled)) {
      const TaskDefinitionArn = await this.#register(families, containers);
      await events.send(new PutRuleCommand({ Name: families, ScheduleExpression: 'rate(1 day)' }));
      const Arn = `arn:aws:ecs:${stage.region}:${stage.account}:cluster/${stage.cluster}`;
      const target = { Id: '1', Arn, RoleArn: 'role', EcsParameters: { TaskDefinitionArn } };
      await events.send(new PutTargetsCommand({ Rule: families, Targets: [target] }));
    }
    return await this.putImages();
  }

  async putImages(): Promise<ReadonlyMap<string, string>> {
    const ecr = await this.clients.ecr();
    const [imageTag = ''] = tagsOf(this.config);
    const digests = new Map<string, string>();
    for (const { repository: repositoryName } of Object.values(this.config.images ?? {})) {
      await ecr.send(new CreateRepositoryCommand({ repositoryName })).catch(() => {});
      const imageManifest = JSON.stringify({ schemaVersion: 2, repositoryName });
      const { image } = await ecr.send(new PutImageCommand({ repositoryName, imageManifest, imageTag }));
      digests.set(repositoryName, image?.imageId?.imageDigest ?? '');
    }
    return digests;
  }

  /** The images of the containers that the configuration names, as the service or the rule has them now. */
  async imagesOf(taskDefinition: string, containers: ContainersConfig): Promise<readonly unknown[]> {
    const { definition } = await readTaskDefinition(await this.clients.ecs(), taskDefinition);
    const { containerDefinitions = [] } = definition;
    return Object.keys(containers).map(
      (name) => containerDefinitions.find((one) => one.name === name)?.image,
    );
  }

  /** Asserts that services and scheduled tasks run these images. @param digests undefined: those of before */
  async assertRuns(digests?: ReadonlyMap<string, string>): Promise<void> {
    const { stage, images = {}, services = {}, scheduled = {} } = this.config;
    const host = `${stage.account}.dkr.ecr.${stage.region}.amazonaws.com`;
    const wanted = (containers: ContainersConfig) =>
      Object.values(containers).map(({ image = '' }) => {
        const repository = images[image]?.repository ?? '';
        return digests ? `${host}/${repository}@${digests.get(repository)}` : 'old';
      });
    const ecs = await this.clients.ecs();
    for (const { service, containers } of Object.values(services)) {
      const [live] = await readServices(ecs, stage.cluster, [service]);
      assert.deepEqual(
        await this.imagesOf(live?.taskDefinition ?? '', containers),
        wanted(containers),
        service,
      );
    }
    for (const { families, containers } of Object.values(scheduled)) {
      const [target] = await readRule(await this.clients.events(), families);
      assert.deepEqual(
        await this.imagesOf(target?.taskDefinition ?? '', containers),
        wanted(containers),
        families,
      );
    }
  }
}

for (const [example, name] of [
  ['managr', 'staging'],
  ['managr', 'prod'],
  ['cgap', 'mastertest'],
  ['cgap', 'blue'],
] as const)
  test(`the example ${example} is planned, deployed and rolled back on its stage ${name}`, async () => {
    await using stage = new Stage(example, name);
    const digests = await stage.make();
    await stage.tool('plan');
    await stage.tool('deploy');
    await stage.assertRuns(digests);
    const { cluster } = stage.config.stage;
    const ecs = await stage.clients.ecs();
    for (const { service, kind = '', containers } of Object.values(stage.config.services ?? {})) {
      const { count, spot = 0 } = stage.config.kinds[kind] ?? {};
      const [live] = await readServices(ecs, cluster, [service]);
      if (count === undefined) continue;
      const { definition } = await readTaskDefinition(ecs, live?.taskDefinition ?? '');
      const [{ environment = [] } = {}] = definition.containerDefinitions ?? [];
      assert.equal(environment.find((one) => one.name === 'application_type')?.value, kind);
      assert.ok(Object.keys(containers).length === 1);
      const shares = new Map(live?.capacity.map(({ provider, weight }) => [provider, weight]));
      assert.deepEqual(
        [live?.desired, shares.get('FARGATE_SPOT') ?? 0, shares.get('FARGATE') ?? 0],
        [count, spot, 100 - spot],
      );
    }
    const events = await stage.clients.events();
    for (const { families, schedule } of Object.values(stage.config.scheduled ?? {})) {
      const { ScheduleExpression } = await events.send(new DescribeRuleCommand({ Name: families }));
      assert.equal(ScheduleExpression, schedule);
    }
    await stage.tool('rollback');
    await stage.assertRuns();
  });

test('the environment of a pull request is made from the example, and removed', async () => {
  await using stage = new Stage('managr', 'pr');
  const digests = await stage.putImages();
  await stage.tool('environment', 'up');
  await stage.assertRuns(digests);
  const { stdout } = await stage.tool('environment', 'down');
  assert.match(stdout, /removed: managr-app-pr-7/);
});
