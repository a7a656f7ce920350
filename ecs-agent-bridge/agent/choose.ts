/** Chooses the way in which this host runs an ECS agent. */

import { access, constants, stat } from 'node:fs/promises';
import { ServiceError } from '../../errors/service-error.ts';
import { exists } from '../../host/directories.ts';
import type { AgentPaths } from '../../host/paths.ts';
import type { AgentDocker } from './agent-docker.ts';
import { archiveIn } from './container.ts';
import { type Systemctl, UNIT } from './systemctl.ts';
import type { Mode } from './way.ts';

export interface Choice {
  /** The value of the setting. */
  readonly wanted: 'auto' | 'none' | Mode;
  readonly program: string;
  readonly image: string;
  readonly paths: AgentPaths;
  readonly systemctl: Pick<Systemctl, 'state'>;
  readonly api: Pick<AgentDocker, 'hasImage'>;
}

/** In order of preference. */
const LACKS: Readonly<Record<Mode, (choice: Choice) => Promise<string | undefined>>> = {
  unit: lacksUnit,
  container: lacksImage,
  binary: lacksProgram,
};

/** @returns undefined: no agent @throws {ServiceError} `agent.not_found` when the wanted way is unavailable */
export async function chooseMode(choice: Choice): Promise<Mode | undefined> {
  const { wanted } = choice;
  if (wanted === 'none') return undefined;
  const why: string[] = [];
  const modes = wanted === 'auto' ? (Object.keys(LACKS) as Mode[]) : [wanted];
  for (const mode of modes) {
    const lack = await LACKS[mode](choice);
    if (lack === undefined) return mode;
    why.push(lack);
  }
  throw new ServiceError('agent.not_found', { why: why.join(', ') });
}

async function lacksUnit({ paths, systemctl }: Choice): Promise<string | undefined> {
  if (!(await exists(paths.systemd))) return 'systemd does not run';
  const { isLoaded } = await systemctl.state();
  return isLoaded ? undefined : `systemd has no ${UNIT}`;
}

async function lacksImage({ paths, image, api }: Choice): Promise<string | undefined> {
  const archive = archiveIn(paths);
  if ((await exists(archive)) || (await api.hasImage(image))) return undefined;
  return `Docker has no image ${image}, and there is no ${archive} to load it from`;
}

async function lacksProgram({ program }: Choice): Promise<string | undefined> {
  try {
    if (!(await stat(program)).isFile()) return `${program} is not a file`;
    await access(program, constants.X_OK);
    return undefined;
  } catch {
    return `there is no program ${program}`;
  }
}
