/**
 * Builds an image in CodeBuild: starts a build with overrides, prints its phases and its log, and waits for its end.
 * The project's buildspec pushes the image.
 */

import {
  BatchGetBuildsCommand,
  type Build,
  StartBuildCommand,
  StopBuildCommand,
} from '@aws-sdk/client-codebuild';
import type { Clients } from '../aws/clients.ts';
import type { ImageConfig } from '../config/schema.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { LogFollower } from '../logs/log-follower.ts';
import type { TaskLog } from '../release/cloud.ts';
import { LogLines } from '../release/log-lines.ts';
import { Looks, type Watching } from '../release/work.ts';

export interface RemoteBuild {
  readonly project: string;
  readonly source?: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly buildspec?: string;
}

export interface Overrides {
  readonly source?: string;
  readonly environment: Readonly<Record<string, string>>;
}

type Builder = Pick<Clients, 'codebuild' | 'logs'>;

/**
 * @param image an image that has `remote`
 * @param tag the tag that the image gets
 * @param given the overrides of the command line
 */
export function remoteBuildOf(
  { remote, repository }: ImageConfig,
  tag: string,
  commit: string | undefined,
  given: Overrides,
): RemoteBuild {
  const { project = '', environment = {}, buildspec, source = commit } = remote ?? {};
  const chosen = given.source ?? source;
  return {
    project,
    ...(chosen !== undefined && { source: chosen }),
    ...(buildspec !== undefined && { buildspec }),
    environment: { IMAGE_REPO_NAME: repository, IMAGE_TAG: tag, ...environment, ...given.environment },
  };
}

/**
 * @param token CodeBuild starts at most one build for a token
 * @returns the id of the build
 * @throws ReleaseError failed, with the reason of each phase that failed
 */
export async function buildRemotely(
  clients: Builder,
  work: Watching,
  name: string,
  build: RemoteBuild,
  token: string,
): Promise<string> {
  const { tell, signal } = work;
  const client = await clients.codebuild();
  const { project, source, environment, buildspec } = build;
  const request = new StartBuildCommand({
    projectName: project,
    idempotencyToken: token,
    ...(source !== undefined && { sourceVersion: source }),
    ...(buildspec !== undefined && { buildspecOverride: buildspec }),
    environmentVariablesOverride: Object.entries(environment).map(([key, value]) => ({
      ...{ name: key, value, type: 'PLAINTEXT' as const },
    })),
  });
  const { build: { id = '' } = {} } = await client.send(request, { abortSignal: signal });
  tell({ event: 'step', text: `${name}: build ${id}${source === undefined ? '' : ` of ${source}`}` });
  try {
    const ended = await watch(clients, work, name, id);
    if (ended.buildStatus === 'SUCCEEDED') return id;
    throw new ReleaseError(
      'failed',
      `the build ${id} of ${name} ended with ${ended.buildStatus}${reasonsOf(ended)}`,
    );
  } catch (error) {
    if (signal.aborted) await client.send(new StopBuildCommand({ id })).catch(() => {});
    if (signal.aborted || error instanceof ReleaseError) throw error;
    throw new ReleaseError(
      'failed',
      `the build ${id} of ${name} continues, but it can no longer be watched: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function watch(clients: Builder, work: Watching, name: string, id: string): Promise<Build> {
  const { clock, signal, tell, timing } = work;
  const client = await clients.codebuild();
  const looks = new Looks(work);
  let lines: LogLines | undefined;
  for (let phase = ''; ; ) {
    const request = new BatchGetBuildsCommand({ ids: [id] });
    const answer = await looks.look(() => client.send(request, { abortSignal: signal }));
    const [build = {}] = answer?.builds ?? [];
    const { groupName: group, streamName: stream } = build.logs ?? {};
    if (group !== undefined && stream !== undefined)
      lines ??= new LogLines(
        work,
        () => logOf(clients, group, stream, name),
        ({ message }) => tell({ event: 'output', text: `${name}: ${message.trimEnd()}` }),
      );
    const { currentPhase = phase } = build;
    if (currentPhase !== phase) tell({ event: 'look', text: `${name}: ${currentPhase}` });
    phase = currentPhase;
    await lines?.read();
    if (build.buildStatus !== undefined && build.buildStatus !== 'IN_PROGRESS') {
      if (build.buildStatus !== 'SUCCEEDED') await lines?.untilSilent();
      return build;
    }
    if (lines?.isBehind !== true) await clock.sleep(timing.poll, signal);
  }
}

async function logOf(clients: Builder, group: string, stream: string, container: string): Promise<TaskLog> {
  const follower = new LogFollower(await clients.logs());
  const source = { group, stream, container, taskId: stream };
  return {
    hasSources: true,
    read: async (signal) => {
      const events = await follower.round([source], signal);
      return { events, isBehind: follower.isThrottled || follower.hasMore };
    },
  };
}

function reasonsOf({ phases = [] }: Build): string {
  const failed = phases.filter(({ phaseStatus }) => phaseStatus !== undefined && phaseStatus !== 'SUCCEEDED');
  const reasons = failed.map(({ phaseType, contexts = [] }) => {
    const why = contexts.map(({ message }) => message).filter(Boolean);
    return [phaseType, ...why].join(': ');
  });
  return reasons.length === 0 ? '' : ` in ${reasons.join('; ')}`;
}
