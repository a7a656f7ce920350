/** Runs an operator's command. */

import { connect } from './client.ts';
import type { OperatorCommand } from './commands.ts';
import { showConsole } from './console.ts';
import { ps, receipt, stop } from './containers.ts';
import { create } from './create.ts';
import { events } from './events.ts';
import { exec } from './exec.ts';
import { capacity, drain } from './host.ts';
import { logs } from './logs.ts';
import { nodes } from './nodes.ts';
import { outputOf, writerTo } from './output.ts';
import { pools } from './pools.ts';
import { pull } from './pull.ts';
import { targetOf } from './target.ts';
import { terminals } from './terminals.ts';

/** @param progress shows messages for people only */
export async function runOperatorCommand(
  command: OperatorCommand,
  environment: NodeJS.ProcessEnv,
  progress: (line: string) => void,
): Promise<void> {
  const { stdin, stdout, stderr } = process;
  const write = writerTo(stdout);
  const target = targetOf(command.where, environment);
  if (command.name === 'exec' || command.name === 'nodes exec' || command.name === 'host-shell') {
    const words = command.name === 'host-shell' ? command.name : command;
    process.exitCode = await exec(target, words, { stdin, stdout, say: progress });
    return;
  }
  const api = await connect(target);
  const { isJson } = command;
  switch (command.name) {
    case 'ps':
      return write(await ps(api, command, isJson));
    case 'create':
      // Not `environment`, because that includes settings of the installed service.
      return write(await create(api, command, process.env, isJson, stderr));
    case 'pull':
      for await (const text of pull(api, command, environment, { isJson, columns: stdout.columns }))
        await write(text);
      return;
    case 'stop':
      progress(`Stopping ${command.ids.join(', ')} …`);
      return await stop(api, command.ids, { isJson, columns: stdout.columns }, write);
    case 'receipt':
      return write(await receipt(api, command.id, { isJson, columns: stdout.columns }));
    case 'capacity':
      return write(await capacity(api, isJson));
    case 'pools list':
    case 'pools set':
    case 'pools remove':
      return write(await pools(api, command, process.env, isJson));
    case 'terminals':
      return write(await terminals(api, command.end, isJson));
    case 'console':
      if ('socket' in target) await showConsole(api, target, command.port, write);
      return;
    case 'drain':
      return write(await drain(api, isJson));
    case 'logs':
    case 'nodes logs':
      return await logs(api, command, isJson, outputOf(stdout), outputOf(stderr));
    case 'events':
      for await (const line of events(api, command.after, isJson)) await write(line);
      return;
    default:
      return write(await nodes(api, command, isJson));
  }
}
