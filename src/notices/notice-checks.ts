/** The doctor's checks of EC2's notices, and of who acts on a Spot notice: the service or the ECS agent. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTrue, parseConfig } from '../../ecs-agent-bridge/agent/config-file.ts';
import { messageOf } from '../../errors/service-error.ts';
import { Imds } from '../../host/imds.ts';
import { metadataEndpoint } from '../../host/metadata.ts';
import { NOTICE_KINDS, type Notice, PATHS, readNotices } from '../../host/notices.ts';
import { HttpClient } from '../../outgoing/http-client.ts';
import type { Settings } from '../../settings/load.ts';
import type { Finding } from '../doctor/host-checks.ts';

/** The agent's setting, and its file. Source: the agent's README. */
const SWITCH = 'ECS_ENABLE_SPOT_INSTANCE_DRAINING';
const CONFIG = 'etc/ecs/ecs.config';

/** Reads EC2's metadata, if this host is on EC2. @param settings the valid settings */
export async function findNotices(settings: Partial<Settings>): Promise<Finding[]> {
  const endpoint = await metadataEndpoint(settings);
  if (!endpoint) return [{ check: 'EC2 notices', grade: 'ok', found: 'this host has no EC2 metadata' }];
  return [await standing(endpoint), whoActs(settings.ON_SPOT_NOTICE ?? 'end', await agentDrains(settings))];
}

async function standing(endpoint: URL): Promise<Finding> {
  const check = 'EC2 notices';
  const http = new HttpClient();
  try {
    const imds = new Imds(http, endpoint);
    const found = await Promise.all(
      NOTICE_KINDS.map(async (kind) => {
        const item = await imds.find(PATHS[kind], new AbortController().signal);
        return item ? readNotices(kind, item.text) : [];
      }),
    );
    const notices = found.flat().map(inWords);
    if (notices.length === 0) return { check, grade: 'ok', found: 'none' };
    const advice =
      'EC2 reclaims this host, or schedules maintenance of it; see "When EC2 reclaims a host" in docs/operations.md';
    return { check, grade: 'warning', found: notices.join('; '), advice };
  } catch (error) {
    const advice = 'check that IMDSv2 is enabled for this instance';
    return { check, grade: 'warning', found: messageOf(error), advice };
  } finally {
    await http.close();
  }
}

function inWords({ kind, what, at }: Notice): string {
  return `${kind}: ${what}${at === undefined ? '' : ` at ${new Date(at).toISOString()}`}`;
}

async function agentDrains({ ROOT = '/', ECS_AGENT }: Partial<Settings>): Promise<boolean> {
  if (ECS_AGENT === 'none') return false;
  const path = join(ROOT, CONFIG);
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    const { config } = parseConfig(path, text, { mode: 'unit', usablePorts: [] });
    return isTrue(config.get(SWITCH));
  } catch {
    // The service itself reports problems of that file.
    return false;
  }
}

/** @param isAgent whether the ECS agent drains on its own */
export function whoActs(action: Settings['ON_SPOT_NOTICE'], isAgent: boolean): Finding {
  const check = 'Spot notices';
  const own = `ON_SPOT_NOTICE=${action}`;
  if (action === 'tell' && !isAgent) {
    const found = `${own}, and the ECS agent does nothing: users lose their changes since the last checkpoint`;
    return { check, grade: 'warning', found, advice: 'set ON_SPOT_NOTICE=end' };
  }
  if (!isAgent) return { check, grade: 'ok', found: `the service acts: ${own}` };
  if (action === 'tell') return { check, grade: 'ok', found: `the ECS agent acts: ${SWITCH}=true` };
  const found = `the service acts (${own}), and so does the ECS agent (${SWITCH}=true): ECS stops the tasks of services at once`;
  return {
    check,
    grade: 'warning',
    found,
    advice: `remove ${SWITCH} from /${CONFIG}, so that users get the time that is left`,
  };
}
