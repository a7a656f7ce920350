/** Checks a host, whether the service runs or not, and says how to fix what is wrong. It changes nothing. */

import { type Allowance, describeAllowance } from '../../settings/hosted-allow.ts';
import { examineSettings } from '../../settings/load.ts';
import { align } from '../align.ts';
import { describeAgent } from '../describe-agent.ts';
import { findNotices } from '../notices/notice-checks.ts';
import { findRights } from '../rights.ts';
import { checkHost, type Finding } from './host-checks.ts';
import { lookAtHost } from './host-facts.ts';
import { concerning, findNodes } from './node-checks.ts';

export interface DoctorOptions {
  /** Whether to skip the settings and the ECS agent. */
  readonly isHostAlone: boolean;
  readonly isJson: boolean;
}

export interface Diagnosis {
  readonly isSound: boolean;
  readonly text: string;
}

export async function examine(
  environment: NodeJS.ProcessEnv,
  { isHostAlone, isJson }: DoctorOptions,
): Promise<Diagnosis> {
  const findings = await findingsOf(environment, isHostAlone);
  const agent = isHostAlone ? [] : await describeAgent();
  return {
    isSound: !findings.some(({ grade }) => grade === 'error'),
    text: isJson ? `${JSON.stringify({ findings, agent }, null, 2)}\n` : describe(findings, agent),
  };
}

/** @param isHostAlone whether to skip the settings */
export async function findingsOf(environment: NodeJS.ProcessEnv, isHostAlone: boolean): Promise<Finding[]> {
  const { settings, problems } = examineSettings(environment);
  const { ROOT = '/', DOCKER_HOST = '/var/run/docker.sock', INPUT_DEVICES = 'required' } = settings;
  const { CONTAINER_PIDS, CONTAINER_MEMORY, CONTAINER_LOG_SIZE, CONTAINER_DISK } = settings;
  const limits = { CONTAINER_PIDS, CONTAINER_MEMORY, CONTAINER_LOG_SIZE, CONTAINER_DISK };
  const { FRONT_CONSOLE = 'own', HOSTED_ALLOW } = settings;
  const looked = await lookAtHost({ ROOT, DOCKER_HOST, INPUT_DEVICES, FRONT_CONSOLE, ...limits });
  const host = concerning(checkHost(looked), settings);
  if (isHostAlone) return host;
  return [
    ...host,
    ...(await findNotices(settings)),
    ...(await findRights(settings)),
    ...(await findNodes(settings)),
    ...checkSettings(problems),
    ...checkAllowance(HOSTED_ALLOW),
  ];
}

function checkSettings(problems: readonly string[]): Finding[] {
  if (problems.length === 0) return [{ check: 'settings', grade: 'ok', found: 'all are valid' }];
  const advice = 'run "ecs-host-service settings" to see what each setting means';
  return problems.map((problem) => ({ check: 'settings', grade: 'error', found: problem.trim(), advice }));
}

function checkAllowance(allowed: Allowance | undefined): Finding[] {
  if (!allowed) return [];
  const check = 'hosted containers';
  if (allowed.size === 0)
    return [{ check, grade: 'ok', found: 'may ask of Docker only what docs/security.md allows' }];
  const advice =
    'check that you still need each of them; docs/security.md has what all containers may ask for';
  return [{ check, grade: 'warning', found: `HOSTED_ALLOW=${describeAllowance(allowed)}`, advice }];
}

function describe(findings: readonly Finding[], agent: readonly string[]): string {
  const lines = align(findings.map(({ grade, check, found }) => [grade, check, found]));
  const advised = findings.flatMap(({ advice }, i) => [
    lines[i],
    ...(advice ? [`         → ${advice}`] : []),
  ]);
  return `${[...advised, ...agent].join('\n')}\n`;
}
