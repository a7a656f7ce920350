/** Generates the pages about the operator's API and the command line from the code: `api-doc.ts API CLI`. */

import { writeFileSync } from 'node:fs';
import { ERRORS, type ErrorRow } from '../errors/table.ts';
import { isRecord } from '../parsing/json.ts';
import { COMMANDS, parseCommandLine, USAGE } from '../src/commands/program.ts';
import { openApi } from './openapi.ts';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly patternProperties?: unknown;
}

interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly in: string;
    readonly name: string;
    readonly schema: Schema;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export async function apiDoc(): Promise<string> {
  const { paths, components } = (await openApi()) as Document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationDoc(method.toUpperCase(), path, operation)),
  );
  const schemas = Object.entries(components.schemas)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, schema]) => schemaDoc(name, schema));
  return `# The operator's API

This page lists the calls of \`/v1\`. \`make docs\` generates it from the routes, together with the
[OpenAPI document](../httpserver/v1/openapi.json), which the service also serves at \`/v1/openapi.json\`.

Root on the host calls the API on the unix socket \`/run/ecs-host-service/api.sock\` (below \`ROOT\`). Everybody else calls it on the
HTTPS port, with the operator's token in \`Authorization: Bearer TOKEN\`. With the viewers' token (\`VIEWER_TOKEN\`), only calls that change nothing are
allowed: all GETs but those that open a terminal, and attaching with \`as=watch\`.

\`\`\`sh
curl --unix-socket /run/ecs-host-service/api.sock http://localhost/v1/containers?state=ready
curl --header "Authorization: Bearer $TOKEN" https://host:4678/v1/capacity
\`\`\`

Errors are problems (RFC 9457). \`title\` is a code for programs, which does not change; \`detail\` says what went wrong and what to do. All codes
are [at the end](#problems).

## Calls

${operations.join('\n\n')}

## Types of requests and answers

${schemas.join('\n\n')}

## Problems

| title | status | detail |
| --- | --- | --- |
${problems().join('\n')}
`;
}

function operationDoc(
  method: string,
  path: string,
  { summary, description, parameters = [], requestBody, responses }: Operation,
): string {
  const takes = requestBody ? `Takes ${typesIn(requestBody.content)}. ` : '';
  const answers = Object.entries(responses)
    .filter(([status]) => status !== 'default')
    .map(([status, { content = {} }]) => `${status}: ${typesIn(content)}`);
  const rows = parameters.map(
    ({ name, in: where, schema, description: meaning = '' }) =>
      `| \`${name}\` (${where}) | ${typeOf(schema)} | ${cell(meaning)} |`,
  );
  return [
    `### \`${method} ${path}\``,
    `${summary}.${description ? ` ${description}` : ''}`,
    `${takes}Answers ${answers.join(', ')}.`,
    ...(rows.length > 0
      ? [['| parameter | type | meaning |', '| --- | --- | --- |', ...rows].join('\n')]
      : []),
  ].join('\n\n');
}

function typesIn(content: Readonly<Record<string, { readonly schema: Schema }>>): string {
  return Object.entries(content)
    .map(([type, { schema }]) => (type === 'application/json' ? typeOf(schema) : type))
    .join(', ');
}

function schemaDoc(name: string, { description, properties = {}, required = [] }: Schema): string {
  const rows = Object.entries(properties).map(
    ([field, schema]) =>
      `| \`${field}\`${required.includes(field) ? '' : ' *optional*'} | ${typeOf(schema)} | ${cell(schema.description ?? '')} |`,
  );
  return [
    `### ${name}`,
    ...(description ? [description] : []),
    ['| field | type | meaning |', '| --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n');
}

function typeOf(schema: Schema): string {
  const { $ref, type, items, properties } = schema;
  if ($ref) {
    const name = $ref.split('/').at(-1) as string;
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.enum) return schema.enum.map((one) => `\`${String(one)}\``).join(', ');
  if (items) return `list of ${typeOf(items)}`;
  if (properties)
    return `{ ${Object.entries(properties)
      .map(([name, one]) => `\`${name}\`: ${typeOf(one)}`)
      .join('; ')} }`;
  return isRecord(schema.patternProperties) || type === 'object' ? 'object' : (type ?? 'any');
}

/** The problems with which an operator's call can be answered. */
function problems(): string[] {
  return Object.entries<ErrorRow>(ERRORS)
    .filter(
      ([code]) =>
        !/^(start|operator|bury|service\.died|still|metadata|webserver|instance|agent\.(?!none|silent))/.test(
          code,
        ),
    )
    .map(([code, { status, text }]) => `| \`${code}\` | ${status} | ${cell(text)} |`);
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export function cliDoc(): string {
  return `# The command line

This page lists every command. \`make docs\` generates it from the program's own help. [operations.md](operations.md#looking-at-a-host) shows how to
use the commands. From a checkout, run \`./ecs-host-service\` instead of \`ecs-host-service\`.

\`\`\`
${USAGE.trimEnd()}
\`\`\`

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed or refused; \`doctor\`: something is wrong |
| 2 | the command line is not valid |
| 3 | no service can be reached |

## Completion

The installer puts scripts for bash and zsh where these shells look for them. Elsewhere, put this line into your
\`~/.bashrc\`, or for zsh into your \`~/.zshrc\`, behind \`compinit\`, with \`zsh\` instead of \`bash\`. The scripts complete
commands, options, and the ids of containers. Only root can list containers, so others get no ids.

\`\`\`sh
source <(ecs-host-service completion bash)
\`\`\`

## Commands

${COMMANDS.map(({ name }) => commandDoc(name)).join('\n\n')}
`;
}

function commandDoc(name: string): string {
  const help = parseCommandLine([...name.split(' '), '--help']);
  const text = help.name === 'command help' ? help.text : '';
  return `### ${name}\n\n\`\`\`\n${text.trimEnd()}\n\`\`\``;
}

const [api, cli] = process.argv.slice(2);
if (import.meta.main && api && cli) {
  writeFileSync(api, await apiDoc());
  writeFileSync(cli, cliDoc());
}
