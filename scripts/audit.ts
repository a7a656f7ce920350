/**
 * Checks the third-party code that this project distributes: its licences, the integrity hashes of its packages, and
 * known vulnerabilities. The exit code is 1 if something must be fixed.
 *
 * node scripts/audit.ts LICENCES.txt
 */

import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { known, type Lock, unhashed, unknownLicences } from './audited.ts';

const [licences = ''] = process.argv.slice(2);

function tell(about: string, faults: readonly string[], fine: string): void {
  console.log(`${about}: ${faults.length === 0 ? fine : ''}`);
  for (const fault of faults) console.log(`  ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

tell(
  'licences of bundled packages',
  unknownLicences(readFileSync(licences, 'utf8')),
  'each allows use, modification and distribution',
);

for (const path of ['package-lock.json', ...globSync('tools/*/package-lock.json')]) {
  const { without, optional } = unhashed(JSON.parse(readFileSync(path, 'utf8')) as Lock);
  const note = `none for ${optional} builds of tools for other systems, because npm has never downloaded them`;
  tell(`hashes in ${path}`, without, optional === 0 ? 'complete' : note);
}

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
const vulnerable = known(stdout || '{}');
if (vulnerable) tell('versions with known vulnerabilities', vulnerable, 'none');
else
  console.log(
    'versions with known vulnerabilities: not checked, because the registry does not support "npm audit"',
  );
