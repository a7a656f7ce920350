/**
 * Packs everything that a host needs: the executable, the files for systemd, udev and the kernel, the licences of all
 * contents, and the origin of the build. The build is reproducible. `tarball.ts EXECUTABLE LICENCES SECCOMP OUTPUT`;
 * COMMIT, BRANCH and SOURCE_DATE_EPOCH (seconds) come from the environment.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { completionFor, SHELLS } from '../src/commands/completion.ts';
import { COMMANDS } from '../src/commands/program.ts';
import { VERSION } from '../src/version.ts';

const [executable = '', licences = '', seccomp = '', output = ''] = process.argv.slice(2);
const { COMMIT = 'unknown', BRANCH = 'unknown', SOURCE_DATE_EPOCH = '0' } = process.env;

/** The options with which Debian's tar makes reproducible archives. */
const REPRODUCIBLE = [
  ...['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'],
  ...[`--mtime=@${SOURCE_DATE_EPOCH}`, '--format=gnu', '--use-compress-program=gzip --no-name'],
];

const SECCOMP_LICENCE = `seccomp.json is Docker's default seccomp profile with changes.
Copyright 2012-2017 Docker, Inc. Apache License, Version 2.0, whose text is in ecs-host-service.txt.
`;

const work = mkdtempSync(join(tmpdir(), 'tarball-'));
try {
  const name = basename(output, '.tar.gz');
  const into = join(work, name);
  mkdirSync(join(into, 'licences'), { recursive: true });
  const texts = { 'ecs-host-service': 'LICENSE', node: join(dirname(process.execPath), '../LICENSE') };
  for (const [of, from] of Object.entries({ ...texts, packages: licences })) {
    cpSync(from, join(into, 'licences', `${of}.txt`));
  }
  cpSync('packaging', into, { recursive: true });
  cpSync(executable, join(into, 'ecs-host-service'));
  cpSync(seccomp, join(into, 'seccomp.json'));
  for (const shell of SHELLS)
    writeFileSync(join(into, `completion.${shell}`), completionFor(shell, COMMANDS));
  writeFileSync(join(into, 'licences/seccomp.txt'), SECCOMP_LICENCE);
  const made = { version: VERSION, commit: COMMIT, branch: BRANCH, platform: `linux-${process.arch}` };
  const lines = Object.entries(made).map(([what, value]) => `${what} ${value}\n`);
  writeFileSync(join(into, 'VERSION'), lines.join(''));
  const draft = `${output}.draft`;
  execFileSync('tar', ['--create', '--file', draft, ...REPRODUCIBLE, '--directory', work, name], {
    stdio: 'inherit',
  });
  renameSync(draft, output);
} finally {
  rmSync(work, { recursive: true, force: true });
}
