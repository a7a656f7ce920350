/** Parses the command line as the command rows define it. */

import { Command, CommanderError, Option } from 'commander';
import type { CommandRow, Given, OptionRow } from './row.ts';
import { COMMON, ROWS } from './rows.ts';

export const NAME = 'ecs-release';

export type Parsed =
  | { readonly is: 'command'; readonly row: CommandRow; readonly given: Given }
  | { readonly is: 'help'; readonly text: string }
  | { readonly is: 'misfit'; readonly text: string };

/** @param words the arguments after the program's name */
export function parse(words: readonly string[]): Parsed {
  let parsed: Parsed | undefined;
  let shown = '';
  const program = new Command(NAME)
    .description('Releases services, scheduled tasks and one-off tasks to Amazon ECS together.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => (shown += text),
      writeErr: (text) => (shown += text),
      getOutHelpWidth: () => 110,
    })
    .enablePositionalOptions()
    .helpCommand(false);
  for (const row of ROWS)
    addCommand(program, row, (given) => {
      parsed = { is: 'command', row, given };
    });
  try {
    program.parse(words.length === 0 ? ['--help'] : words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isHelp = error.code === 'commander.helpDisplayed';
    return isHelp ? { is: 'help', text: shown } : { is: 'misfit', text: `${shown}Run "${NAME} --help".\n` };
  }
  return parsed ?? { is: 'help', text: shown };
}

function addCommand(program: Command, row: CommandRow, found: (given: Given) => void): void {
  const { name, words = '', summary, options = [], example, needsStage = true, passesOn = false } = row;
  const command = program
    .command(`${name} ${words}`.trim())
    .description(summary)
    .passThroughOptions(passesOn)
    .addHelpText('after', `\nExample: ${NAME} ${example}`);
  const all = [...options, ...(needsStage ? COMMON : COMMON.filter(({ flags }) => flags === '--json'))];
  const made = all.map((one) => optionOf(one));
  for (const option of made) command.addOption(option);
  command.action(() => {
    const values = command.opts();
    const read = (long: string) =>
      values[made.find((one) => one.name().replace(/^no-/, '') === long)?.attributeName() ?? ''] as unknown;
    found({
      words: command.args,
      flag: (long) => read(long) === true,
      text: (long) => read(long) as string | undefined,
      texts: (long) => (read(long) ?? []) as readonly string[],
    });
  });
}

function optionOf({ flags, meaning, isList }: OptionRow): Option {
  const option = new Option(flags, meaning);
  if (!isList) return option;
  return option.argParser((value, before: readonly string[] | undefined) => [...(before ?? []), value]);
}
