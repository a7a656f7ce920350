/** The shells themselves report what they would offer. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { completionFor, type Shell } from '../../src/commands/completion.ts';
import { COMMANDS } from '../../src/commands/program.ts';

const PS =
  'CONTAINER     DOCKER        STATE\n0c6afdb042fa  3ee4112c9d98  ready\n553a2b8c8204  95f117f73b0f  running\n';

/** The offered words; the functions that would show them print them instead. */
const ASK: Readonly<Record<Shell, string>> = {
  bash: `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ecs_host_service; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `words=("$@"); CURRENT=$#; _describe() { print -l -- "\${choices[@]}" }; _files() { print FILES }; _ecs_host_service`,
};

/** @param words the last one is completed */
function offered(shell: Shell, ...words: string[]): string[] {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'completion-'));
  writeFileSync(join(directory.path, 'ps'), PS);
  const script = [
    `ecs-host-service() { [ "$1" = ps ] && cat ${directory.path}/ps; }`,
    shell === 'zsh' ? 'compdef() { : }' : '',
    completionFor(shell, COMMANDS),
    ASK[shell],
  ].join('\n');
  const arguments_ = shell === 'zsh' ? ['-f', '-c', script] : ['--norc', '-c', script];
  const ran = spawnSync(shell, [...arguments_, shell, 'ecs-host-service', ...words], { encoding: 'utf8' });
  assert.deepEqual([ran.stderr, ran.status], ['', 0]);
  return ran.stdout.split('\n').filter(Boolean);
}

const CONTAINERS = ['0c6afdb042fa', '553a2b8c8204'];

test('bash completes commands, options, their values, and ids of containers', () => {
  const firsts = [...new Set(COMMANDS.map(({ name }) => name.split(' ')[0] as string))];
  assert.deepEqual(offered('bash', ''), firsts);
  for (const [words, choices] of [
    ['pu', ['pull']],
    ['configs ', ['list', 'restore']],
    ['ps --s', ['--state']],
    ['ps --state r', ['running', 'ready']],
    ['ps --json --', ['--state', '--app', '--host', '--fingerprint', '--json', '--help']],
    ['ps --app ', []],
    ['create --pull ', ['missing', 'always', 'never']],
    ['stop ', [...offered('bash', 'stop', '-'), ...CONTAINERS]],
    ['stop 5', ['553a2b8c8204']],
    ['exec -it 0', ['0c6afdb042fa']],
    ['logs -', ['-f', '--follow', '--tail', '--host', '--fingerprint', '--json', '--help']],
    ['configs list -', ['--help']],
    ['completion ', ['bash', 'zsh', '--help']],
    ['nonsense ', []],
  ] as const) {
    assert.deepEqual(offered('bash', ...words.split(' ')), choices, words);
  }
});

test('zsh completes the same, with descriptions', () => {
  const told = offered('zsh', '');
  for (const { name, summary } of COMMANDS.filter((row) => !row.name.includes(' ')))
    assert.ok(told.includes(`${name}:${summary}`), name);
  for (const [words, choices] of [
    [
      'configs ',
      COMMANDS.flatMap(({ name, summary }) =>
        /^configs (.*)/.exec(name) ? [`${name.slice(8)}:${summary}`] : [],
      ),
    ],
    ['ps --state ', ['preparing', 'created', 'running', 'assigned', 'ready', 'ending', 'gone']],
    ['ps --app ', ['FILES']],
    ['configs list ', ['--help:print this help']],
  ] as const) {
    assert.deepEqual(offered('zsh', ...words.split(' ')), choices, words);
  }
  assert.deepEqual(offered('zsh', 'stop', '').slice(-2), CONTAINERS);
  const [follow] = offered('zsh', 'logs', '');
  assert.equal(follow, '-f:follow the output until the container has ended');
});
