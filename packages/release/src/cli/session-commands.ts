/** The commands `exec` and `forward`, which run a command in a running container and forward a port to it. */

import { ReleaseError } from '../errors.ts';
import type { Target } from '../session/choose-target.ts';
import { type ExecClients, execInTask, findTarget } from '../session/exec.ts';
import type { TaskScope } from '../session/find-targets.ts';
import { forwardPort } from '../session/forward.ts';
import { signedHeaders } from '../session/sign-request.ts';
import { type Context, contextOf } from './context.ts';
import { printResult, teller } from './print.ts';
import type { Given, Run, Surroundings } from './row.ts';

async function clientsOf({ clients, config }: Context): Promise<Required<ExecClients>> {
  const [ecs, ssm] = [await clients.ecs(), await clients.ssm()];
  const headers = signedHeaders(config.stage.region, () => ssm.config.credentials());
  return { ecs, ssm, kms: () => clients.kms(), headers };
}

export function scopeOf({ config }: Context, given: Given): TaskScope {
  const [name, family] = [given.text('service'), given.text('family')];
  if (name !== undefined && family !== undefined)
    throw new ReleaseError('usage', 'Use --service or --family, not both.');
  const service = name === undefined ? undefined : (config.services?.[name]?.service ?? name);
  return { cluster: config.stage.cluster, service, family };
}

export const exec: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { stdin, stdout, stderr, signal } = surroundings;
  const [clients, scope] = [await clientsOf(context), scopeOf(context, given)];
  const wish = { task: given.text('task'), container: given.text('container') };
  const words = given.words.length > 0 ? given.words : ['sh'];
  if (given.flag('dry-run')) {
    const target = await findTarget(clients.ecs, scope, wish, { stdin, stderr }, signal);
    printTarget(given, surroundings, target, `run ${words.join(' ')}`);
    return 0;
  }
  const exitCode = await execInTask({
    ...{ clients, scope, wish, words },
    streams: { stdin, stdout, stderr },
    isInteractive: given.flag('tty'),
    hasShell: given.flag('shell'),
    signal,
  });
  // Standard output belongs to the command.
  if (given.flag('json')) stderr.write(`${JSON.stringify({ event: 'exit', exitCode })}\n`);
  return exitCode;
};

function printTarget(given: Given, surroundings: Surroundings, target: Target, what: string): void {
  const { taskId, container, definition } = target;
  const text = `would ${what} in ${container} of ${definition}, task ${taskId}`;
  printResult(given, surroundings, { taskId, container, definition }, text);
}

export const forward: Run = async (given, surroundings) => {
  const [port, localPort] = [portOf(given.words[0] ?? ''), portOf(given.text('local-port') ?? '0')];
  await using context = await contextOf(given, surroundings);
  const { stdin, stderr, signal } = surroundings;
  const clients = await clientsOf(context);
  const wish = { task: given.text('task'), container: given.text('container') };
  const target = await findTarget(clients.ecs, scopeOf(context, given), wish, { stdin, stderr }, signal);
  if (given.flag('dry-run')) {
    printTarget(given, surroundings, target, `forward a local port to port ${port}`);
    return 0;
  }
  await forwardPort({
    ...clients,
    target,
    port,
    localPort,
    listening: (local) => {
      const { taskId, container } = target;
      const text = `Port ${local.port} of ${local.host} leads to port ${port} of ${container}.`;
      printResult(given, surroundings, { local, port, taskId, container }, text);
    },
    failed: (error) =>
      teller(
        given,
        surroundings,
      )({ event: 'failure', text: error instanceof Error ? error.message : String(error) }),
    signal,
  });
  return 0;
};

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new ReleaseError('usage', `A port must be a number up to 65535, not "${text}".`);
}
