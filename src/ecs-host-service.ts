/** The program: does what its command line says. */

import { messageOf } from '../errors/service-error.ts';
import { type Command, parseCommandLine, USAGE } from './command-line.ts';
import { listConfigs, restoreConfig } from './configs-command.ts';
import { runService } from './main.ts';
import { VERSION } from './version.ts';

/** @returns what is to be said */
async function answer(command: Exclude<Command, { name: 'run' }>): Promise<string> {
  if (command.name === 'configs list') return await listConfigs(process.env, command);
  if (command.name === 'configs restore') return await restoreConfig(process.env, command, command.version);
  return command.name === 'version' ? `${VERSION}\n` : USAGE;
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
