/** Does what an operator's command asks. */

import { connect } from './client.ts';
import type { OperatorCommand } from './command-line.ts';
import { ps, receipt, stop } from './containers.ts';
import { create } from './create.ts';
import { events } from './events.ts';
import { capacity, drain } from './host.ts';
import { logs } from './logs.ts';
import { outputOf } from './output.ts';
import { pull } from './pull.ts';
import { targetOf } from './target.ts';

/**
 * @param write takes what is for stdout, and resolves when that took it @param progress takes what only a person waits for
 * @param columns of the terminal that stdout is; undefined when it is none
 */
export async function runOperatorCommand(
  command: OperatorCommand,
  environment: NodeJS.ProcessEnv,
  write: (text: string) => Promise<void>,
  progress: (line: string) => void,
  columns: number | undefined,
): Promise<void> {
  const api = await connect(targetOf(command.where, environment));
  const { isJson } = command;
  switch (command.name) {
    case 'ps':
      return write(await ps(api, command, isJson));
    case 'create':
      // Not `environment`: settings of the installed service are among it.
      return write(await create(api, command, process.env, isJson));
    case 'pull':
      for await (const text of pull(api, command, environment, { isJson, columns })) await write(text);
      return;
    case 'stop':
      progress(`Stopping ${command.ids.join(', ')} …`);
      return await stop(api, command.ids, isJson, write);
    case 'receipt':
      return write(await receipt(api, command.id, isJson));
    case 'capacity':
      return write(await capacity(api, isJson));
    case 'drain':
      return write(await drain(api, isJson));
    case 'logs':
      return await logs(api, command, isJson, outputOf(process.stdout), outputOf(process.stderr));
    case 'events':
      for await (const line of events(api, command.after, isJson)) await write(line);
  }
}
