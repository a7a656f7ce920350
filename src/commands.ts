/** Runs the command of the command line, unless it starts the service. */

import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { pathsBelow } from '../host/paths.ts';
import { withInstalled } from '../settings/installed.ts';
import { bury } from './after-death/bury.ts';
import { waitForClaimed } from './after-death/wait.ts';
import { completionFor } from './commands/completion.ts';
import { COMMANDS, type Command, parseCommandLine, USAGE } from './commands/program.ts';
import { listConfigs, restoreConfig } from './configs-command.ts';
import { type Diagnosis, examine } from './doctor/doctor.ts';
import { findLeaks } from './doctor/find-leaks.ts';
import { upgrade } from './hand-over/upgrade.ts';
import type { OperatorCommand } from './operator/commands.ts';
import { showSettings } from './settings-command.ts';
import { VERSION } from './version.ts';

/** @returns the text to print */
async function answer(command: Exclude<Command, { name: 'misfit' } | OperatorCommand>): Promise<string> {
  const isRoots = ['bury', 'wait', 'upgrade', 'doctor', 'doctor --leaks'].includes(command.name);
  if (isRoots && process.getuid?.() !== 0) throw new ServiceError('start.not_root', {});
  if (command.name === 'run') return await silently((await import('./main.ts')).runService(process.env));
  if (command.name === 'version') return `${VERSION}\n`;
  if (command.name === 'help') return USAGE;
  if (command.name === 'command help') return command.text;
  if (command.name === 'completion') return completionFor(command.shell, COMMANDS);
  const environment = withInstalled(process.env, pathsBelow(process.env.ROOT || '/').settings);
  if (command.name === 'bury') return await silently(bury({ environment, ...command }));
  if (command.name === 'upgrade') return await upgrade(process.env, command.isRollback);
  if (command.name === 'wait') return await silently(waitForClaimed(environment));
  if (command.name === 'doctor') return judged(await examine(environment, command));
  if (command.name === 'doctor --leaks') return judged(await findLeaks(environment));
  if (command.name === 'settings') return showSettings(environment, command.isJson);
  if (command.name === 'configs list') return await listConfigs(environment, command);
  return await restoreConfig(environment, command, command.version);
}

function judged({ text, isSound }: Diagnosis): string {
  if (!isSound) process.exitCode = 1;
  return text;
}

async function silently(work: Promise<void>): Promise<string> {
  await work;
  return '';
}

/** The codes of errors without an answer from a service. */
const UNREACHED: ReadonlySet<string> = new Set(['operator.unreachable', 'operator.terminal_cut_off']);

/** Loads its modules only now, because the service does not need them. */
async function operate(command: OperatorCommand): Promise<void> {
  const { runOperatorCommand } = await import('./operator/run.ts');
  const progress = (line: string) => void (process.stderr.isTTY && process.stderr.write(`${line}\n`));
  try {
    await runOperatorCommand(command, environmentOf(command), progress);
  } catch (error) {
    // The reader of the output has stopped reading.
    if (!isSystemError(error, 'EPIPE')) throw error;
  }
}

/** @throws {ServiceError} `operator.not_root` */
function environmentOf({ where }: OperatorCommand): NodeJS.ProcessEnv {
  const { settings } = pathsBelow(process.env.ROOT || '/');
  try {
    return where.host === undefined ? withInstalled(process.env, settings) : process.env;
  } catch (error) {
    if (!isSystemError(error, 'EACCES')) throw error;
    throw new ServiceError('operator.not_root', { where: settings }, { cause: error });
  }
}

/** @param words the arguments after the program's name, if they are not for the service */
export async function obey(words: readonly string[]): Promise<void> {
  const command = parseCommandLine(words);
  if (command.name === 'misfit') {
    process.stderr.write(command.text);
    process.exitCode = 2;
    return;
  }
  try {
    if ('where' in command) await operate(command);
    else process.stdout.write(await answer(command));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = error instanceof ServiceError && UNREACHED.has(error.code) ? 3 : 1;
  }
}
