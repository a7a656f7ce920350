/**
 * AWS clients. Each one is loaded and created on first use, so that a command loads only the SDK modules that it needs.
 * The clients retry after throttling, 5xx responses and broken connections.
 */

import type { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import type { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { CodeBuildClient } from '@aws-sdk/client-codebuild';
import type { ECRClient } from '@aws-sdk/client-ecr';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { IAMClient } from '@aws-sdk/client-iam';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SchedulerClient } from '@aws-sdk/client-scheduler';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SSMClient } from '@aws-sdk/client-ssm';
import type { STSClient } from '@aws-sdk/client-sts';
import { ReleaseError } from '../errors.ts';

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

interface Settings {
  readonly region: string;
  readonly maxAttempts: number;
  readonly credentials?: () => Promise<Credentials>;
  readonly requestHandler: { readonly requestTimeout: number; readonly connectionTimeout: number };
}

export class Clients {
  readonly #region: string;
  readonly #role: string | undefined;
  readonly #made = new Map<string, Promise<unknown>>();

  /** @param role the ARN of a role to assume */
  constructor(region: string, role?: string) {
    this.#region = region;
    this.#role = role;
  }

  ecs(): Promise<ECSClient> {
    return this.#make(
      'ecs',
      async (settings) => new (await import('@aws-sdk/client-ecs')).ECSClient(settings),
    );
  }

  /** @param region the default is the stage's region */
  ecr(region = this.#region): Promise<ECRClient> {
    return this.#make(
      `ecr ${region}`,
      async (settings) => new (await import('@aws-sdk/client-ecr')).ECRClient({ ...settings, region }),
    );
  }

  s3(): Promise<S3Client> {
    return this.#make('s3', async (settings) => {
      const { S3Client: Client } = await import('@aws-sdk/client-s3');
      // A custom endpoint has no DNS name for each bucket.
      const forcePathStyle = Boolean(process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL);
      return new Client({ ...settings, forcePathStyle });
    });
  }

  sts(): Promise<STSClient> {
    return this.#make(
      'sts',
      async (settings) => new (await import('@aws-sdk/client-sts')).STSClient(settings),
    );
  }

  events(): Promise<EventBridgeClient> {
    return this.#make('events', async (settings) => {
      const { EventBridgeClient: Client } = await import('@aws-sdk/client-eventbridge');
      return new Client(settings);
    });
  }

  scheduler(): Promise<SchedulerClient> {
    return this.#make('scheduler', async (settings) => {
      const { SchedulerClient: Client } = await import('@aws-sdk/client-scheduler');
      return new Client(settings);
    });
  }

  cloudwatch(): Promise<CloudWatchClient> {
    return this.#make('cloudwatch', async (settings) => {
      const { CloudWatchClient: Client } = await import('@aws-sdk/client-cloudwatch');
      return new Client(settings);
    });
  }

  codebuild(): Promise<CodeBuildClient> {
    return this.#make('codebuild', async (settings) => {
      const { CodeBuildClient: Client } = await import('@aws-sdk/client-codebuild');
      return new Client(settings);
    });
  }

  logs(): Promise<CloudWatchLogsClient> {
    return this.#make('logs', async (settings) => {
      const { CloudWatchLogsClient: Client } = await import('@aws-sdk/client-cloudwatch-logs');
      return new Client(settings);
    });
  }

  scaling(): Promise<ApplicationAutoScalingClient> {
    return this.#make('scaling', async (settings) => {
      const { ApplicationAutoScalingClient: Client } = await import(
        '@aws-sdk/client-application-auto-scaling'
      );
      return new Client(settings);
    });
  }

  secrets(): Promise<SecretsManagerClient> {
    return this.#make('secrets', async (settings) => {
      const { SecretsManagerClient: Client } = await import('@aws-sdk/client-secrets-manager');
      return new Client(settings);
    });
  }

  iam(): Promise<IAMClient> {
    return this.#make(
      'iam',
      async (settings) => new (await import('@aws-sdk/client-iam')).IAMClient(settings),
    );
  }

  balancers(): Promise<ElasticLoadBalancingV2Client> {
    return this.#make('balancers', async (settings) => {
      const { ElasticLoadBalancingV2Client: Client } = await import(
        '@aws-sdk/client-elastic-load-balancing-v2'
      );
      return new Client(settings);
    });
  }

  ssm(): Promise<SSMClient> {
    return this.#make(
      'ssm',
      async (settings) => new (await import('@aws-sdk/client-ssm')).SSMClient(settings),
    );
  }

  kms(): Promise<KMSClient> {
    return this.#make(
      'kms',
      async (settings) => new (await import('@aws-sdk/client-kms')).KMSClient(settings),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of await Promise.allSettled(this.#made.values()))
      if (client.status === 'fulfilled') (client.value as { destroy(): void }).destroy();
  }

  async #make<T>(name: string, make: (settings: Settings) => Promise<T>): Promise<T> {
    const settings = this.#settings(this.#role);
    const made = this.#made.get(name) ?? make(settings);
    this.#made.set(name, made);
    return (await made) as T;
  }

  #settings(role: string | undefined): Settings {
    return {
      region: this.#region,
      maxAttempts: 6,
      requestHandler: { requestTimeout: 15_000, connectionTimeout: 5000 },
      ...(role !== undefined && { credentials: () => this.#assume(role) }),
    };
  }

  async #assume(role: string): Promise<Credentials> {
    const { AssumeRoleCommand, STSClient: Client } = await import('@aws-sdk/client-sts');
    const sts = new Client(this.#settings(undefined));
    try {
      const assumed = await sts.send(
        new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'ecs-release' }),
      );
      const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = assumed.Credentials ?? {};
      if (!AccessKeyId || !SecretAccessKey)
        throw new ReleaseError('failed', `STS returned no credentials for ${role}.`);
      return {
        accessKeyId: AccessKeyId,
        secretAccessKey: SecretAccessKey,
        ...(SessionToken !== undefined && { sessionToken: SessionToken }),
        ...(Expiration && { expiration: Expiration }),
      };
    } finally {
      sts.destroy();
    }
  }
}
