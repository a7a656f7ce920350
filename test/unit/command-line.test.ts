import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS, type Command, parseCommandLine, USAGE } from '../../src/commands/program.ts';

function helpOf(...words: string[]): string {
  const help = parseCommandLine([...words, '--help']);
  assert.ok(help.name === 'command help', words.join(' '));
  return help.text;
}

/** The answers. */
function refusalOf(...words: string[]): string {
  const found: Command = parseCommandLine(words);
  assert.ok(found.name === 'misfit', words.join(' '));
  return found.text;
}

test('without arguments, the service runs', () => {
  assert.deepEqual(parseCommandLine([]), { name: 'run' });
});

test('each command is recognized by its name', () => {
  for (const name of ['run', 'version', 'help']) assert.deepEqual(parseCommandLine([name]), { name });
});

test('the usual options for help and version are recognized', () => {
  assert.deepEqual(parseCommandLine(['--help']), { name: 'help' });
  assert.deepEqual(parseCommandLine(['-h']), { name: 'help' });
  assert.deepEqual(parseCommandLine(['--version']), { name: 'version' });
});

test('the config commands say whose config, and which version', () => {
  const whose = { user: 'user@example.com', app: 'browsers/chrome' };
  assert.deepEqual(parseCommandLine(['configs', 'list', whose.user, whose.app]), {
    name: 'configs list',
    ...whose,
  });
  assert.deepEqual(parseCommandLine(['configs', 'restore', whose.user, whose.app, 'v']), {
    name: 'configs restore',
    ...whose,
    version: 'v',
  });
});

test('doctor checks the host and its settings, the host alone, or leaks', () => {
  const options = { isHostAlone: false, isJson: false };
  assert.deepEqual(parseCommandLine(['doctor']), { name: 'doctor', ...options });
  assert.deepEqual(parseCommandLine(['doctor', '--json']), { name: 'doctor', ...options, isJson: true });
  for (const words of ['--host --json', '--json --host']) {
    const expected = { name: 'doctor', isHostAlone: true, isJson: true };
    assert.deepEqual(parseCommandLine(['doctor', ...words.split(' ')]), expected);
  }
  assert.deepEqual(parseCommandLine(['doctor', '--leaks']), { name: 'doctor --leaks' });
  for (const words of ['--leak', '--leaks more', '--leaks --json', '--host more', 'more']) {
    refusalOf('doctor', ...words.split(' '));
  }
});

test('the settings are shown as text or as JSON', () => {
  assert.deepEqual(parseCommandLine(['settings']), { name: 'settings', isJson: false });
  assert.deepEqual(parseCommandLine(['settings', '--json']), { name: 'settings', isJson: true });
  for (const words of ['--host', '--json more']) {
    refusalOf('settings', ...words.split(' '));
  }
});

test('invalid arguments are not mistaken for a command', () => {
  for (const word of [
    '',
    'Run',
    'start',
    '--run',
    '-v',
    'constructor',
    '__proto__',
    'configs',
    'doctor --leaks',
  ]) {
    refusalOf(word);
  }
});

test('missing or excess arguments are invalid', () => {
  for (const words of [
    'run run',
    'help run',
    '--help ',
    'configs list user',
    'configs list user app more',
    'configs restore user app',
    'configs restore user app version more',
    'configs remove user app',
  ]) {
    refusalOf(...words.split(' '));
  }
});

test('the usage names every command and ends its last line', () => {
  for (const { name } of COMMANDS) assert.match(USAGE, new RegExp(`^  ${name} `, 'm'));
  assert.ok(USAGE.endsWith('\n'));
});

test('each command has its own help, with its options and a valid example', () => {
  for (const { name, options = [], example } of COMMANDS) {
    const help = helpOf(...name.split(' '));
    assert.ok(help.startsWith(`Usage: ecs-host-service ${name}`), name);
    for (const { flags } of options) assert.ok(help.includes(`  ${flags}`), `${name} ${flags}`);
    assert.ok(help.endsWith(`Example: ecs-host-service ${example}\n`), name);
    const [command = ''] = example.split(/ [|>] /);
    assert.equal(parseCommandLine(command.split(' ')).name, name);
  }
});

test('an unknown command prints one line, with the most similar name if there is one', () => {
  const more = ' "ecs-host-service help" lists all commands.\n';
  for (const [words, line] of [
    ['pss', `There is no command "pss"; did you mean "ps"?${more}`],
    ['reciept 3f2a', `There is no command "reciept"; did you mean "receipt"?${more}`],
    ['fly away', `There is no command "fly".${more}`],
    ['configs lst user app', `There is no command "configs lst"; did you mean "configs list"?${more}`],
    ['configs', '"configs" is not a complete command; use "configs list" or "configs restore".\n'],
  ] as const) {
    assert.equal(refusalOf(...words.split(' ')), line);
  }
});

test('a command with invalid arguments prints the error and its help, and repeats none of the arguments', () => {
  for (const [words, why] of [
    ['create --env PASSWORD=hidden', '--app APP is missing.\n'],
    ['create hidden --app', 'The value of --app APP is missing.\n'],
    ['create hidden --app --json', ''],
    ['ps --ap hidden', 'Did you mean --app?\n'],
    ['create hidden -phidden --app demo', ''],
    ['stop', 'ID is missing.\n'],
    ['logs hidden hidden', ''],
    ['ps --fingerprint hidden', ''],
    ['exec --take hidden', ''],
  ] as const) {
    const [name = '', ...rest] = words.split(' ');
    const head = `This command line is not valid: ${name}${rest.length > 0 ? ' …' : ''}\n${why}\n`;
    assert.equal(refusalOf(name, ...rest), `${head}${helpOf(name)}`);
  }
});

test("an operator's options become the request", () => {
  const here = { where: { host: undefined, fingerprint: undefined }, isJson: false };
  const ask = (words: string) => parseCommandLine(words.split(' '));
  assert.deepEqual(ask('ps --state ready'), { name: 'ps', state: 'ready', app: undefined, ...here });
  assert.deepEqual(ask('stop a b --json'), { name: 'stop', ids: ['a', 'b'], ...here, isJson: true });
  const where = { host: 'https://a:1', fingerprint: 'ab' };
  const drain = { name: 'drain', where, isJson: false };
  assert.deepEqual(ask('drain --fingerprint=ab --host https://a:1'), drain);
  const logs = { name: 'logs', id: 'a', isFollowing: true, tail: '5', ...here };
  assert.deepEqual(ask('logs -f a --tail 5'), logs);
  const made = ask('create a --app b --env A=1 --env B=-2 --timeout -1 --no-console --gpu');
  assert.ok(made.name === 'create');
  const { env, timeout, hasConsole, gpu, isDryRun, label } = made;
  assert.deepEqual(
    [env, timeout, hasConsole, gpu, isDryRun, label],
    [['A=1', 'B=-2'], '-1', false, true, false, []],
  );
});

test('arguments after the id of exec belong to the program, including options', () => {
  const ask = (words: string) => parseCommandLine(words.split(' '));
  const common = { where: { host: undefined, fingerprint: undefined }, isJson: false, name: 'exec' };
  const none = { attach: undefined, as: 'write', user: undefined };
  const all = { ...common, ...none, id: 'a', user: 'u', command: ['ls', '-l', '--help', '--', '-it'] };
  assert.deepEqual(ask('exec -it -u u a ls -l --help -- -it'), all);
  assert.deepEqual(ask('exec a'), { ...common, ...none, id: 'a', command: [] });
  const attached = { ...common, attach: 't', as: 'watch', id: '', command: [], user: undefined };
  assert.deepEqual(ask('exec --attach t --watch'), attached);
  for (const wrong of ['exec', 'exec --attach t a', 'exec --attach t --take --watch', 'exec --json a'])
    refusalOf(...wrong.split(' '));
});
