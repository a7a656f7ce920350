/**
 * Checks repositories and images. Each repository must exist and accept the stage's tags. Each image must exist, for
 * the platform on which its tasks run.
 */

import { BatchGetProjectsCommand } from '@aws-sdk/client-codebuild';
import { DescribeRepositoriesCommand, RepositoryNotFoundException } from '@aws-sdk/client-ecr';
import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Clients } from '../aws/clients.ts';
import type { ReleaseConfig } from '../config/read.ts';
import { parseRegistry, registryOf } from '../config/registry.ts';
import type { ImageConfig } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { passwordOf } from '../images/catalogue.ts';
import { platformsOf } from '../images/platforms.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';

export async function checkRepositories(
  clients: Clients,
  { stage, images = {} }: ReleaseConfig,
): Promise<readonly Check[]> {
  return await Promise.all(
    Object.values(images).map(async (image) => {
      const { account, region } = registryOf(stage, image);
      const what = `repository ${image.repository}`;
      const command = new DescribeRepositoriesCommand({
        registryId: account,
        repositoryNames: [image.repository],
      });
      try {
        const { repositories = [] } = await (await clients.ecr(region)).send(command);
        const isImmutable = repositories[0]?.imageTagMutability === 'IMMUTABLE';
        const [moving] = isImmutable ? movingTags(image, stage.tags) : [];
        return moving === undefined
          ? good(what)
          : bad(
              what,
              `its tags are immutable, so a second push of ${moving} is refused. Add {commit} to the tag, or make the tags mutable.`,
            );
      } catch (error) {
        return error instanceof RepositoryNotFoundException
          ? bad(what, `the account ${account} does not have it in ${region}. Create it in ECR.`)
          : unknown(what, messageOf(error));
      }
    }),
  );
}

/** Checks the CodeBuild projects that build images. */
export async function checkProjects(
  clients: Clients,
  { images = {} }: ReleaseConfig,
): Promise<readonly Check[]> {
  const names = [...new Set(Object.values(images).flatMap(({ remote }) => remote?.project ?? []))];
  if (names.length === 0) return [];
  try {
    const request = new BatchGetProjectsCommand({ names });
    const { projectsNotFound = [] } = await (await clients.codebuild()).send(request);
    return names.map((name) =>
      projectsNotFound.includes(name)
        ? bad(`CodeBuild project ${name}`, 'it does not exist in this account and region.')
        : good(`CodeBuild project ${name}`),
    );
  } catch (error) {
    return [unknown(`CodeBuild projects ${names.join(', ')}`, messageOf(error))];
  }
}

/** Returns the tags that refer to another image after each push. */
function movingTags({ tag, mirror }: ImageConfig, tags: readonly string[] = []): readonly string[] {
  if (mirror !== undefined) return [];
  return tag === undefined ? tags.filter((one) => !/\{(commit|tag)\}/.test(one)) : [tag];
}

/** @param definitions the task definitions that run after the release */
export async function checkPlatforms(
  clients: Clients,
  { stage }: ReleaseConfig,
  definitions: readonly TaskDefinition[],
): Promise<readonly Check[]> {
  const needs = new Map<string, Set<string | undefined>>();
  for (const definition of definitions)
    for (const { image = '' } of definition.containerDefinitions ?? [])
      needs.set(image, (needs.get(image) ?? new Set()).add(platformOf(definition)));
  return await Promise.all(
    [...needs].map(async ([image, platforms]) => {
      const what = `image ${image}`;
      const { host, repository, reference } = referenceOf(image);
      const registry = parseRegistry(host, stage);
      if (!registry)
        return warning(
          what,
          'it is not in ECR, so it is neither checked nor deployed by digest. Copy it with "mirror".',
        );
      try {
        const credentials = await passwordOf(await clients.ecr(registry.region));
        return checkPlatform(what, await platformsOf({ host, repository, reference, ...credentials }), [
          ...platforms,
        ]);
      } catch (error) {
        return unknown(what, messageOf(error));
      }
    }),
  );
}

/** Splits an image reference of a task definition: host/repository:tag or host/repository@digest. */
export function referenceOf(image: string) {
  const [, host = '', path = ''] = /^([^/]+)\/(.+)$/.exec(image) ?? [];
  const [, repository = path, digest, tag] = /^([^:@]+)(?:@(.+)|:(.+))$/.exec(path) ?? [];
  return { host, repository, reference: digest ?? tag ?? 'latest' };
}

/**
 * @param there the image's platforms
 * @param needed the platforms of its tasks; undefined: the container instances decide
 */
export function checkPlatform(
  what: string,
  there: readonly string[],
  needed: readonly (string | undefined)[],
): Check {
  const missing = needed.filter((one) => one !== undefined && !there.includes(one));
  if (missing.length === 0) return good(`${what} (${there.join(', ')})`);
  return bad(
    what,
    `it is built for ${there.join(', ') || 'no known platform'}, but its tasks run on ${missing.join(', ')}. Set "platform" of the image, or "runtimePlatform" of the task definition.`,
  );
}

/** Fargate runs linux/amd64 unless the task definition says otherwise. */
export function platformOf({
  runtimePlatform,
  requiresCompatibilities = [],
}: TaskDefinition): string | undefined {
  if (!runtimePlatform && !requiresCompatibilities.includes('FARGATE')) return undefined;
  const { cpuArchitecture = 'X86_64', operatingSystemFamily = 'LINUX' } = runtimePlatform ?? {};
  const os = operatingSystemFamily.startsWith('WINDOWS') ? 'windows' : 'linux';
  return `${os}/${cpuArchitecture === 'ARM64' ? 'arm64' : 'amd64'}`;
}
