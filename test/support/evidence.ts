/** Keeps the service's output and requests during a test run, to be searched for secrets after the run. */

import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LAUNCHER } from './launched.ts';

/** The directory that the runner names; without it nothing is kept. */
const { TEST_EVIDENCE } = process.env;

/** @param source the kind of source, such as `log` */
export function keep(source: string, text: string): void {
  if (TEST_EVIDENCE) appendFileSync(join(TEST_EVIDENCE, `${source}-${process.pid}`), `${text}\n`);
}

/**
 * Keeps the command line of a service, and the command lines and environments of all its descendants. Under the launcher,
 * the service is a child, whose environment has the settings.
 * @returns their number
 */
export function keepProcesses(pid: number): number {
  const read = (id: number | string, file: string) => {
    try {
      return readFileSync(`/proc/${id}/${file}`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return ''; // The process has ended.
    }
  };
  const command = read(pid, 'cmdline');
  keep('children', command);
  const launcher = command.startsWith(LAUNCHER) ? String(pid) : undefined;
  const ids = [String(pid)];
  for (const parent of ids) {
    const children = readdirSync('/proc').filter((id) => read(id, 'status').includes(`\nPPid:\t${parent}\n`));
    ids.push(...children);
    for (const id of children)
      keep('children', `${read(id, 'cmdline')} ${parent === launcher ? '' : read(id, 'environ')}`);
  }
  return ids.length - 1;
}

/** The places of secrets in the files of `directory`: in plain text, within JSON, or within a URL. */
export function findSecrets(directory: string, secrets: readonly string[]): string[] {
  const inJson = (text: string) => JSON.stringify(text).slice(1, -1);
  const forms = secrets.flatMap((secret) => [
    ...[secret, inJson(secret), inJson(inJson(secret))],
    encodeURIComponent(secret),
  ]);
  return readdirSync(directory).flatMap((file) => {
    const lines = readFileSync(join(directory, file), 'utf8').split('\n');
    return lines
      .filter((line) => forms.some((form) => line.includes(form)))
      .map((line) => `${file}: ${line}`);
  });
}

/** The sources of the output that was kept in `directory`. */
export function sources(directory: string): string[] {
  return [...new Set(readdirSync(directory).map((file) => file.replace(/-\d+$/, '')))].sort();
}
