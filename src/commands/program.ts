/** Parses the command line with the command table. */

import { Command as Commander, CommanderError, InvalidArgumentError, Option } from 'commander';
import { OPERATOR_COMMANDS, type OperatorCommand } from '../operator/commands.ts';
import { HOST_COMMANDS, type HostCommand } from './host-commands.ts';
import { type CommandRow, Given, type OptionRow } from './row.ts';

export type Command =
  | HostCommand
  | OperatorCommand
  | { readonly name: 'command help'; readonly text: string }
  | { readonly name: 'misfit'; readonly text: string };

export const NAME = 'ecs-host-service';
/** The width of the help in columns. */
const WIDTH = 110;

const OTHER_NAMES = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
]);

const ROWS: readonly CommandRow<HostCommand | OperatorCommand>[] = [...HOST_COMMANDS, ...OPERATOR_COMMANDS];

/** @param words the arguments after the program's name */
export function parseCommandLine(words: readonly string[]): Command {
  if (words.length === 0) return { name: 'run' };
  const [only = ''] = words;
  const given = words.length === 1 ? [OTHER_NAMES.get(only) ?? only] : words;
  let found: Command | undefined;
  let shown = '';
  const program = makeProgram({
    found: (command) => {
      found = command;
    },
    show: (text) => {
      shown += text;
    },
  });
  try {
    program.parse(given, { from: 'user' });
    return found ?? misfit(words);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return shown ? { name: 'command help', text: shown } : misfit(words, error);
  }
}

interface Reactions {
  readonly found: (command: Command | undefined) => void;
  readonly show: (text: string) => void;
}

function makeProgram({ found, show }: Reactions): Commander {
  const program = new Commander(NAME)
    .exitOverride()
    .configureOutput({ writeOut: show, writeErr: () => {}, getOutHelpWidth: () => WIDTH })
    .helpOption(false)
    .helpCommand(false)
    .enablePositionalOptions();
  for (const row of ROWS) {
    const [last = '', group] = row.name.split(' ').reverse();
    const parent = group ? groupOf(program, group) : program;
    addCommand(parent, last, row, found);
  }
  return program;
}

function groupOf(program: Commander, name: string): Commander {
  return (
    program.commands.find((one) => one.name() === name) ??
    program.command(name).helpOption(false).helpCommand(false)
  );
}

function addCommand(
  parent: Commander,
  name: string,
  row: CommandRow<HostCommand | OperatorCommand>,
  found: Reactions['found'],
): void {
  const { words = '', summary, more, options = [], example, passesOn = false } = row;
  const command = parent
    .command(`${name} ${words}`.trim())
    .description(more ? `${summary}\n\n${more}` : summary)
    .passThroughOptions(passesOn)
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', `\nExample: ${NAME} ${example}`);
  const made = options.map(optionOf);
  for (const option of made) command.addOption(option);
  command.action(() => {
    const values = command.opts();
    const named = made.map(
      (option) => [option.name().replace(/^no-/, ''), values[option.attributeName()]] as const,
    );
    found(row.read(new Given(command.args, new Map(named))));
  });
}

function optionOf({ flags, meaning, isList, isSigned, isRequired }: OptionRow): Option {
  const option = new Option(flags, isList ? `${meaning}; can be repeated` : meaning);
  if (option.isBoolean()) return option;
  const read = (value: string) => {
    // The value is missing, and this is the next option.
    if (/^-/.test(value) && !(isSigned && /^-\d/.test(value))) throw new InvalidArgumentError('');
    return value;
  };
  option.makeOptionMandatory(isRequired ?? false);
  if (!isList) return option.argParser(read);
  return option.argParser((value, before: readonly string[] | undefined) => [...(before ?? []), read(value)]);
}

/**
 * Repeats only the name of the command, because the other words may contain secrets.
 * @param error commander's error; its hints are names of the command table
 */
function misfit(words: readonly string[], error?: CommanderError): Command {
  const [, hint] = /\(Did you mean (?:one of )?(.*)\?\)/.exec(error?.message ?? '') ?? [];
  const group = ROWS.find(({ name }) => name.startsWith(`${words[0]} `));
  const row = ROWS.find(({ name }) => name === words[0] || name === `${words[0]} ${words[1]}`);
  if (group && words.length === 1) {
    const names = ROWS.flatMap(({ name }) => (name.startsWith(`${words[0]} `) ? [`"${name}"`] : []));
    return { name: 'misfit', text: `"${words[0]}" is not a complete command; use ${names.join(' or ')}.\n` };
  }
  if (!row) {
    const asked = group ? words.slice(0, 2).join(' ') : words[0];
    const nearest = hint ? `; did you mean "${group ? `${words[0]} ` : ''}${hint}"?` : '.';
    return {
      name: 'misfit',
      text: `There is no command "${asked}"${nearest} "${NAME} help" lists all commands.\n`,
    };
  }
  const help = parseCommandLine([...row.name.split(' '), '--help']);
  const usage = help.name === 'command help' ? help.text : '';
  const why = reasonOf(error, hint);
  return {
    name: 'misfit',
    text: `This command line is not valid: ${words[0]}${words.length > 1 ? ' …' : ''}\n${why}\n${usage}`,
  };
}

function reasonOf(error: CommanderError | undefined, hint: string | undefined): string {
  const { code, message = '' } = error ?? {};
  const [, name = ''] = /'([^']+)'/.exec(message) ?? [];
  const what = name.replaceAll(/[<>]/g, '');
  if (code === 'commander.missingArgument') return `${what} is missing.\n`;
  if (code === 'commander.missingMandatoryOptionValue') return `${what} is missing.\n`;
  if (code === 'commander.optionMissingArgument') return `The value of ${what} is missing.\n`;
  if (code === 'commander.unknownOption' && hint) return `Did you mean ${hint}?\n`;
  return '';
}

const list = (title: string, rows: readonly CommandRow<unknown>[]) => [
  title,
  ...rows.map(({ name, words, summary }) => `  ${headOf(name, words).padEnd(35)}${summary}`),
  '',
];

function headOf(name: string, words = ''): string {
  return `${name} ${words.replaceAll(/[<>]/g, '').replaceAll('...', ' …')}`.trim();
}

export const USAGE = [
  `Usage: ${NAME} [COMMAND] [OPTION …]`,
  '',
  ...list('About this host:', HOST_COMMANDS),
  ...list('About a running service:', OPERATOR_COMMANDS),
  `Run "${NAME} COMMAND --help" for the options of a command and an example.`,
  '',
  `Settings come from the environment. Without APP_ENV in it, the settings of the installed service are used.`,
  `Commands about a running service use the one on this host, as root. With --host https://HOST:4678, they use the service`,
  `on another host, and need its operator's token in OPERATOR_TOKEN, or in the file that OPERATOR_TOKEN_FILE names. Add`,
  `--fingerprint SHA256 if this machine does not trust that service's certificate. With --json, they print the service's`,
  `answer as JSON. You can shorten an ID to its first digits.`,
  '',
].join('\n');

export { ROWS as COMMANDS };
