/**
 * Finds out which of the rights that nodes need AWS gives to this host. Each right is tried by its own call, with
 * arguments that name nothing that exists: AWS checks the right first, and then finds that there is nothing to do. A
 * right that cannot be tried in this way is reported as such.
 */

import { randomUUID } from 'node:crypto';
import type { ECRClient } from '@aws-sdk/client-ecr';
import { PUBLIC, PUBLIC_REGION, regionOf } from '../../docker-engine/ecr.ts';
import { askingOnce } from '../../host/aws-client.ts';
import { whyOf } from '../../host/aws-failures.ts';
import type { Finding } from './host-checks.ts';

/** Log groups that this host or its nodes write to. */
export interface LogPlace {
  /** The name of the group. For `nodes`, it is the beginning of the names: each node has its own group. */
  readonly group: string;
  readonly of: 'nodes' | 'service';
  /** undefined if unknown. */
  readonly region: string | undefined;
}

type Call = () => Promise<unknown>;
interface Attempt {
  readonly right: string;
  readonly call: Call;
}
interface Tried {
  readonly right: string;
  /** undefined: AWS answered as it answers a caller that has the right. */
  readonly error?: unknown;
}

const CHECK = 'AWS rights';
const ADVICE = "add them to the policy of this host's role; docs/nodes.md lists them all";
/** A digest that no image and no layer has. */
const NO_DIGEST = `sha256:${'0'.repeat(64)}`;
/** The errors that AWS returns to a caller that has the right but names nothing that exists. */
const NOTHING_THERE = /^(?:ResourceNotFound|LayersNotFound|ImageNotFound|RepositoryNotFound)Exception$/;
/** Enough repositories to notice a policy that names them one by one. */
const MOST_REPOSITORIES = 10;

/** @param repositories names of images without their versions; only those of Amazon ECR count */
export async function findAwsRights(
  repositories: readonly string[],
  logs: readonly LogPlace[],
): Promise<Finding[]> {
  const attempts = [...(await ofRegistries(repositories)), ...(await Promise.all(logs.map(ofLog))).flat()];
  return judge(await Promise.all(attempts.map(tried)), logs.flatMap(untried));
}

async function tried({ right, call }: Attempt): Promise<Tried> {
  try {
    await call();
    return { right };
  } catch (error) {
    return NOTHING_THERE.test((error as Error).name) ? { right } : { right, error };
  }
}

async function ofRegistries(repositories: readonly string[]): Promise<Attempt[]> {
  const own = repositories.filter((name) => regionOf(registryIn(name)) !== undefined);
  const attempts: Attempt[] = [];
  if (own.length > 0) {
    const { ECRClient: Client, ...commands } = await import('@aws-sdk/client-ecr');
    const regions = [...new Set(own.map((name) => regionOf(registryIn(name)) ?? ''))];
    const clients = new Map(regions.map((region) => [region, new Client(askingOnce(region, undefined))]));
    for (const client of clients.values())
      attempts.push({
        right: 'ecr:GetAuthorizationToken',
        call: () => client.send(new commands.GetAuthorizationTokenCommand({})),
      });
    for (const name of own.slice(0, MOST_REPOSITORIES)) {
      const client = clients.get(regionOf(registryIn(name)) ?? '') as ECRClient;
      attempts.push(...ofRepository(client, name, commands));
    }
  }
  if (repositories.some((name) => registryIn(name) === PUBLIC)) {
    const { ECRPUBLICClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr-public');
    const client = new ECRPUBLICClient(askingOnce(PUBLIC_REGION, undefined));
    const call = () => client.send(new GetAuthorizationTokenCommand({}));
    attempts.push({ right: 'ecr-public:GetAuthorizationToken with sts:GetServiceBearerToken', call });
  }
  return attempts;
}

function ofRepository(
  client: ECRClient,
  name: string,
  {
    BatchCheckLayerAvailabilityCommand,
    BatchGetImageCommand,
    GetDownloadUrlForLayerCommand,
  }: Pick<
    typeof import('@aws-sdk/client-ecr'),
    'BatchCheckLayerAvailabilityCommand' | 'BatchGetImageCommand' | 'GetDownloadUrlForLayerCommand'
  >,
): Attempt[] {
  const [registry = '', ...rest] = name.split('/');
  const where = { registryId: registry.slice(0, 12), repositoryName: rest.join('/') };
  const of = (right: string, call: Call) => ({ right: `ecr:${right} of ${where.repositoryName}`, call });
  return [
    of('BatchGetImage', () =>
      client.send(new BatchGetImageCommand({ ...where, imageIds: [{ imageDigest: NO_DIGEST }] })),
    ),
    of('GetDownloadUrlForLayer', () =>
      client.send(new GetDownloadUrlForLayerCommand({ ...where, layerDigest: NO_DIGEST })),
    ),
    of('BatchCheckLayerAvailability', () =>
      client.send(new BatchCheckLayerAvailabilityCommand({ ...where, layerDigests: [NO_DIGEST] })),
    ),
  ];
}

async function ofLog({ group, of, region }: LogPlace): Promise<Attempt[]> {
  if (region === undefined) return [];
  const { CloudWatchLogsClient, CreateLogStreamCommand, PutLogEventsCommand } = await import(
    '@aws-sdk/client-cloudwatch-logs'
  );
  const client = new CloudWatchLogsClient(askingOnce(region, undefined));
  const logStreamName = randomUUID();
  const logGroupName = of === 'nodes' ? `${group}/node/doctor-${randomUUID()}` : group;
  const logEvents = [{ timestamp: Date.now(), message: 'a check of rights' }];
  const put: Attempt = {
    right: `logs:PutLogEvents in ${placeOf(group, of)}`,
    call: () => client.send(new PutLogEventsCommand({ logGroupName, logStreamName, logEvents })),
  };
  if (of === 'service') return [put];
  const call = () => client.send(new CreateLogStreamCommand({ logGroupName, logStreamName }));
  return [put, { right: `logs:CreateLogStream in ${placeOf(group, of)}`, call }];
}

/** The rights that no call can try without an effect, or whose region is not known. */
function untried({ group, of, region }: LogPlace): string[] {
  const place = placeOf(group, of);
  if (region === undefined) return [`those for logs in ${place}, because the region is not known`];
  const rights = of === 'nodes' ? ['logs:CreateLogGroup'] : ['logs:CreateLogGroup', 'logs:CreateLogStream'];
  return rights.map((right) => `${right} in ${place}, because the call would create something`);
}

function placeOf(group: string, of: LogPlace['of']): string {
  return of === 'nodes' ? `${group}/node/*` : group;
}

function judge(all: readonly Tried[], left: readonly string[]): Finding[] {
  const isDenied = ({ error }: Tried) => /^AccessDenied/.test((error as Error | undefined)?.name ?? '');
  const proven = all.filter(({ error }) => error === undefined).map(({ right }) => right);
  const denied = all.filter(isDenied).map(({ right }) => right);
  const open = all.filter((one) => one.error !== undefined && !isDenied(one));
  const findings: Finding[] = [];
  if (proven.length > 0) findings.push({ check: CHECK, grade: 'ok', found: `proven: ${list(proven)}` });
  if (denied.length > 0)
    findings.push({ check: CHECK, grade: 'error', found: `missing: ${list(denied)}`, advice: ADVICE });
  if (open.length > 0) {
    const found = `not proven: ${open.map(({ right, error }) => `${right} (${whyOf(error)})`).join('; ')}`;
    findings.push({ check: CHECK, grade: 'warning', found, advice: 'run doctor again once AWS answers' });
  }
  if (left.length > 0) findings.push({ check: CHECK, grade: 'ok', found: `not tried: ${left.join('; ')}` });
  return findings;
}

function list(rights: readonly string[]): string {
  return [...new Set(rights)].join(', ');
}

function registryIn(name: string): string {
  return name.split('/', 1)[0] ?? '';
}
