/** Parses and validates the YAML file of nodes. The JSON Schema for editors is generated from the same schema. */

import { type Static, Type } from 'typebox';
import { parseDocument } from 'yaml';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { misfit } from '../../parsing/json.ts';
import { APP_NAME, problemWithApp } from '../../settings/app-name.ts';
import { NodeSpec } from '../spec/node-spec.ts';
import { brokenRule } from '../spec/unusable.ts';
import type { WantedApp } from './feed.ts';

export const NodesFile = Type.Object(
  {
    app: Type.String({
      pattern: APP_NAME,
      description: 'The name of the app, and of the Docker network of its nodes.',
    }),
    nodes: Type.Array(NodeSpec, { maxItems: 1000 }),
  },
  { additionalProperties: false, title: 'The nodes of a host' },
);

/** @param source the file's path, for the error @throws {ServiceError} `node.bad_feed` */
export function parseNodesFile(text: string, source: string): WantedApp {
  const bad = (why: string) => new ServiceError('node.bad_feed', { source, why });
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  // The lines after the first quote the file, which may contain secrets.
  if (error) throw bad(error.message.split('\n', 1)[0] ?? '');
  let found: unknown;
  try {
    found = document.toJS({ maxAliasCount: 100 });
  } catch (failure) {
    throw bad(messageOf(failure));
  }
  const why = misfit(NodesFile, found);
  if (why !== undefined) throw bad(why.replace('schema is false', 'is not a known field'));
  const wanted = found as Static<typeof NodesFile>;
  const unusable = whyAppUnusable(wanted);
  if (unusable !== undefined) throw bad(unusable);
  return wanted;
}

/** Checks the rules that a schema cannot express. @returns the first violated rule */
export function whyAppUnusable({ app, nodes }: WantedApp): string | undefined {
  const problem = problemWithApp(app);
  if (problem !== undefined) return `app ${problem}`;
  const names = nodes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) return `there must be one node ${twice}, not two`;
  const [bad] = nodes.flatMap((node) => {
    const why = brokenRule(node);
    return why === undefined ? [] : [`of the node ${node.name}, ${why}`];
  });
  return bad;
}
