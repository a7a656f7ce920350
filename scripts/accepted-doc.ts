/** Writes the table of accepted Docker requests of hosted containers into a document: `accepted-doc.ts DOCUMENT`. */

import { readFileSync, writeFileSync } from 'node:fs';
import { connectRule, createRule, execRule, updateRule } from '../container/creation/accepted-calls.ts';
import type { Fields, Rule } from '../container/creation/accepted-fields.ts';

const BEGIN = '<!-- the accepted fields: made by "make docs" -->';
const END = '<!-- end of the accepted fields -->';

const TABLES: readonly (readonly [string, Fields | undefined])[] = [
  ['Creating a container', without(createRule, 'HostConfig')],
  ['Creating a container: `HostConfig`', createRule.fields?.HostConfig?.fields],
  ['Updating a container', updateRule.fields],
  ['Running a program in it (exec)', execRule.fields],
  ['Connecting it to a network: `EndpointConfig`', connectRule.fields?.EndpointConfig?.fields],
];

function without({ fields = {} }: Rule, name: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([one]) => one !== name));
}

/** @returns the document with the current table */
export function withAccepted(document: string): string {
  const tables = TABLES.map(([title, fields = {}]) => `**${title}**\n\n${tableOf(fields)}`);
  const [before, rest = ''] = document.split(BEGIN);
  const [, after = ''] = rest.split(END);
  return `${before}${BEGIN}\n\n${tables.join('\n\n')}\n\n${END}${after}`;
}

function tableOf(fields: Fields): string {
  const rows = Object.entries(fields)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { says }]) => `| \`${name}\` | ${says.replaceAll('|', '\\|')} |`);
  return ['| field | accepted |', '| --- | --- |', ...rows].join('\n');
}

const [path] = process.argv.slice(2);
if (import.meta.main && path) {
  writeFileSync(path, withAccepted(readFileSync(path, 'utf8')));
}
