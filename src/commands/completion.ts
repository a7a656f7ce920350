/**
 * Generates scripts that complete the commands in a shell, from the command table. In both shells, the script is a list
 * of cases: a command, and the word before the completed one.
 */

import type { CommandRow } from './row.ts';

export const SHELLS = ['bash', 'zsh'] as const;
export type Shell = (typeof SHELLS)[number];

type Row = CommandRow<unknown>;

interface Choice {
  readonly word: string;
  readonly meaning?: string;
}

interface Case {
  /** The shell's patterns for `COMMAND BEFORE`. */
  readonly patterns: readonly string[];
  /** Empty: file names. */
  readonly choices: readonly Choice[];
  readonly hasIds?: boolean;
}

/** Without access to the service, this yields nothing. */
const IDS = `$(ecs-host-service ps 2> /dev/null | awk 'NR > 1 { print $1 }')`;

export function completionFor(shell: Shell, rows: readonly Row[]): string {
  return shell === 'bash' ? bash(rows) : zsh(rows);
}

function bash(rows: readonly Row[]): string {
  const cases = casesOf(rows).map(({ patterns, choices, hasIds }) => {
    const words = choices.map(({ word }) => word).join(' ');
    return `    ${patterns.join(' | ')}) choices=${quoted(words)}${hasIds ? `" ${IDS}"` : ''} ;;`;
  });
  return `# Completes ecs-host-service in bash.
_ecs_host_service() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]} choices=
  [ "$COMP_CWORD" -gt 1 ] || command='' before=''
  if [ "$COMP_CWORD" -gt 2 ]; then
    case "$command" in ${groupsOf(rows).join(' | ')}) command="$command \${COMP_WORDS[2]}" ;; esac
  fi
  case "$command $before" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}
complete -o default -F _ecs_host_service ecs-host-service
`;
}

function zsh(rows: readonly Row[]): string {
  const cases = casesOf(rows).map(({ patterns, choices, hasIds }) => {
    const told = choices.map(({ word, meaning }) => quoted(meaning ? `${colonless(word)}:${meaning}` : word));
    const all = [...told, ...(hasIds ? [`\${(f)"${IDS}"}`] : [])];
    return `    ${patterns.join(' | ')}) ${all.length > 0 ? `choices=(${all.join(' ')})` : '_files; return'} ;;`;
  });
  return `#compdef ecs-host-service
# Completes ecs-host-service in zsh.
_ecs_host_service() {
  local -a choices
  local before=\${words[CURRENT - 1]} command=\${words[2]}
  if (( CURRENT < 3 )); then command='' before=''; fi
  if (( CURRENT > 3 )); then
    case "$command" in ${groupsOf(rows).join(' | ')}) command="$command \${words[3]}" ;; esac
  fi
  case "$command $before" in
${cases.join('\n')}
  esac
  _describe -t words word choices
}
compdef _ecs_host_service ecs-host-service
`;
}

function casesOf(rows: readonly Row[]): Case[] {
  const groups = groupsOf(rows).map((group) => ({
    patterns: [`${quoted(`${group} `)}*`],
    choices: rows
      .filter(({ name }) => name.startsWith(`${group} `))
      .map(({ name, summary }) => ({ word: name.slice(group.length + 1), meaning: summary })),
  }));
  const names = rows.map(({ name, summary }) => ({ word: name.split(' ')[0] as string, meaning: summary }));
  const first = names.filter(({ word }, i) => names.findIndex((one) => one.word === word) === i);
  return [...rows.flatMap(casesOfOne), ...groups, { patterns: ["' '*"], choices: first }];
}

function casesOfOne({ name, words = '', values = [], options = [] }: Row): Case[] {
  const valued = options.filter(({ flags }) => flags.includes('<'));
  const known = valued.flatMap(({ flags, values: some }) =>
    some ? [{ patterns: keysOf(name, flags), choices: some.map((word) => ({ word })) }] : [],
  );
  const free = valued.filter((option) => !option.values).flatMap(({ flags }) => keysOf(name, flags));
  return [
    ...known,
    ...(free.length > 0 ? [{ patterns: free, choices: [] }] : []),
    {
      patterns: [`${quoted(`${name} `)}*`],
      choices: [
        ...values.map((word) => ({ word })),
        ...options.flatMap(({ flags, meaning }) => namesIn(flags).map((word) => ({ word, meaning }))),
        { word: '--help', meaning: 'print this help' },
      ],
      hasIds: words.includes('ID'),
    },
  ];
}

/** The common first words of commands that consist of two words. */
function groupsOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap(({ name }) => (name.includes(' ') ? [name.split(' ')[0] as string] : [])))];
}

function keysOf(name: string, flags: string): string[] {
  return namesIn(flags).map((option) => quoted(`${name} ${option}`));
}

function namesIn(flags: string): string[] {
  return flags.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function colonless(word: string): string {
  return word.replaceAll(':', '\\:');
}
