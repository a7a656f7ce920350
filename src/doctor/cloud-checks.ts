/**
 * What a host with nodes needs beyond itself: AWS credentials and rights, registries that answer, and a clock that
 * agrees with the cloud's. Nothing is changed there.
 */

import { Docker } from '../../docker-engine/docker.ts';
import { PUBLIC, regionOf } from '../../docker-engine/ecr.ts';
import { type ImageReference, namesRegistry, referenceOf } from '../../docker-engine/image-reference.ts';
import { messageOf } from '../../errors/service-error.ts';
import { askingOnce } from '../../host/aws-client.ts';
import { whyOf } from '../../host/aws-failures.ts';
import { HttpClient } from '../../outgoing/http-client.ts';
import type { Settings } from '../../settings/load.ts';
import { registryCredentials } from '../registry-credentials.ts';
import { findAwsRights, type LogPlace } from './aws-rights.ts';
import type { Finding } from './host-checks.ts';

/** The part of the feed that the checks need. */
export interface Wanted {
  readonly images: readonly string[];
  /** The region of the nodes' log groups, if the feed names one. */
  readonly region?: string;
}

/** Time limits in milliseconds: for a registry, and for an answer whose Date header is read. */
const REGISTRY = 10_000;
const DATE = 10_000;
/** The clock skew in seconds that is harmless, and the one from which AWS refuses signed requests. */
const UNNOTICED = 30;
const REFUSED = 300;
/** STS tells a caller its identity in every region, so any region will do. */
const ANY_REGION = 'us-east-1';

/** @param settings the valid settings */
export async function findCloud(settings: Partial<Settings>, wanted: Wanted): Promise<Finding[]> {
  const references = referencesOf(wanted.images, settings.DEFAULT_REGISTRY);
  const ecr = references.filter(({ name }) => isAmazons(registryOf(name)));
  const isEchoStream = settings.NODES_FEED === 'echostream';
  const logs = logPlaces(settings, wanted.region);
  const needsAws = logs.length > 0 || ecr.length > 0;
  const [first] = ecr;
  const clockUrl = isEchoStream
    ? settings.APPSYNC_ENDPOINT
    : first && `https://${registryOf(first.name)}/v2/`;
  const [clock, aws, registries] = await Promise.all([
    clockUrl === undefined || !URL.canParse(clockUrl) ? [] : findSkew(new URL(clockUrl)),
    needsAws ? findAws(ecr, logs) : [],
    findRegistries(settings, references),
  ]);
  return [...clock, ...aws, ...registries];
}

/** The log groups that Docker writes the nodes' output to, and that of the service itself. */
function logPlaces(settings: Partial<Settings>, nodesRegion: string | undefined): LogPlace[] {
  const { NODES_FEED, LOG_GROUP_NAME: nodes, CLOUDWATCH_LOG_GROUP: own } = settings;
  const region = settings.AWS_REGION ?? settings.AWS_DEFAULT_REGION;
  return [
    ...(NODES_FEED === 'echostream' && nodes !== undefined
      ? [{ group: nodes, of: 'nodes', region: nodesRegion } as const]
      : []),
    ...(own === undefined ? [] : [{ group: own, of: 'service', region } as const]),
  ];
}

async function findAws(ecr: readonly ImageReference[], logs: readonly LogPlace[]): Promise<Finding[]> {
  const check = 'AWS credentials';
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
  const client = new STSClient(askingOnce(logs[0]?.region ?? ANY_REGION, undefined));
  try {
    // This call needs valid credentials, but no rights.
    const { Arn = 'of an unknown identity' } = await client.send(new GetCallerIdentityCommand({}));
    const repositories = [...new Set(ecr.map(({ name }) => name))];
    return [{ check, grade: 'ok', found: Arn }, ...(await findAwsRights(repositories, logs))];
  } catch (error) {
    const advice =
      "give them by the instance's role, /root/.aws/credentials or the environment of the service; the rights of nodes are not checked without them";
    return [{ check, grade: 'error', found: whyOf(error), advice }];
  } finally {
    client.destroy();
  }
}

/** Asks each registry, as a pull does, through Docker and with the credentials of the service. */
async function findRegistries(
  settings: Partial<Settings>,
  references: readonly ImageReference[],
): Promise<Finding[]> {
  if (references.length === 0) return [];
  const docker = await Docker.open(settings.DOCKER_HOST ?? '/var/run/docker.sock');
  const credentials = registryCredentials(settings);
  const firsts = new Map(references.toReversed().map((one) => [registryOf(one.name), one]));
  return await Promise.all(
    [...firsts].map(async ([registry, reference]): Promise<Finding> => {
      const check = `registry ${registry}`;
      try {
        const authconfig = await credentials.for(reference);
        await docker.call('inspect_distribution', REGISTRY, (_, api) =>
          api.getImage(reference.text).distribution(authconfig && { authconfig }),
        );
        return { check, grade: 'ok', found: `has ${reference.text}` };
      } catch (error) {
        const advice = `check that this host reaches ${registry}, that the image exists, and the credentials for it; nodes without an image cannot start`;
        return { check, grade: 'error', found: messageOf(error), advice };
      }
    }),
  );
}

/** Compares this host's clock with the Date of an answer, which has whole seconds. Any answer will do. */
export async function findSkew(url: URL, now: () => number = Date.now): Promise<Finding[]> {
  const check = 'cloud clock';
  const http = new HttpClient();
  try {
    const asked = now();
    const { headers } = await http.ask(url, { method: 'GET', milliseconds: DATE });
    const theirs = Date.parse(String(headers.date));
    if (Number.isNaN(theirs)) throw new Error(`the answer of ${url.origin} has no Date`);
    const seconds = Math.round(((asked + now()) / 2 - (theirs + 500)) / 1000);
    return [judgeSkew(seconds, url.origin)];
  } catch (error) {
    const advice = 'check the network of this host, and the address';
    return [{ check, grade: 'warning', found: `cannot be compared: ${messageOf(error)}`, advice }];
  } finally {
    await http.close();
  }
}

function judgeSkew(seconds: number, origin: string): Finding {
  const check = 'cloud clock';
  const off = Math.abs(seconds);
  if (off < UNNOTICED) return { check, grade: 'ok', found: `agrees with ${origin} within ${UNNOTICED} s` };
  const found = `this host is ${off} s ${seconds > 0 ? 'ahead of' : 'behind'} ${origin}`;
  const advice = `run chrony or systemd-timesyncd; AWS refuses requests from ${REFUSED} s on`;
  return { check, grade: off < REFUSED ? 'warning' : 'error', found, advice };
}

/** Skips an image whose name contains no registry if there is no default registry: it is on this host. */
function referencesOf(images: readonly string[], defaultRegistry: string | undefined): ImageReference[] {
  return images.flatMap((image) => {
    const reference = parsed(image);
    if (!reference) return [];
    if (namesRegistry(reference)) return [reference];
    return defaultRegistry === undefined ? [] : [referenceOf(`${defaultRegistry}/${image}`)];
  });
}

/** @returns undefined if the name is invalid; the node's state reports that */
function parsed(image: string): ImageReference | undefined {
  try {
    return referenceOf(image);
  } catch {
    return undefined;
  }
}

function isAmazons(registry: string): boolean {
  return registry === PUBLIC || regionOf(registry) !== undefined;
}

function registryOf(name: string): string {
  return name.split('/', 1)[0] ?? '';
}
