/** The program: does what its command line says. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { bury } from './bury.ts';
import { type Command, parseCommandLine, USAGE } from './command-line.ts';
import { listConfigs, restoreConfig } from './configs-command.ts';
import { describeAgent, findLeaks } from './doctor.ts';
import { runService } from './main.ts';
import { VERSION } from './version.ts';
import { waitForClaimed } from './wait.ts';

/** @returns what is to be said */
async function answer(command: Exclude<Command, { name: 'run' }>): Promise<string> {
  const isRoots = ['bury', 'wait', 'doctor'].includes(command.name);
  if (isRoots && process.getuid?.() !== 0) throw new ServiceError('start.not_root', {});
  if (command.name === 'bury') return await silently(bury({ environment: process.env, ...command }));
  if (command.name === 'doctor') return command.leaks ? await examine() : await describeAgent();
  if (command.name === 'wait') return await silently(waitForClaimed(process.env));
  if (command.name === 'configs list') return await listConfigs(process.env, command);
  if (command.name === 'configs restore') return await restoreConfig(process.env, command, command.version);
  return command.name === 'version' ? `${VERSION}\n` : USAGE;
}

async function examine(): Promise<string> {
  const { leaks, text } = await findLeaks(process.env);
  if (leaks.length > 0) process.exitCode = 1;
  return text;
}

async function silently(work: Promise<void>): Promise<string> {
  await work;
  return '';
}

const command = parseCommandLine(process.argv.slice(2));

if (command?.name === 'run') {
  await runService(process.env);
} else if (command) {
  try {
    process.stdout.write(await answer(command));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  }
} else {
  process.stderr.write(`This makes no sense: ${process.argv.slice(2).join(' ')}\n\n${USAGE}`);
  process.exitCode = 2;
}
