/**
 * Writes the JSON Schema of a file of nodes, for editors: `nodes-schema.ts OUTPUT`. The service checks the file against
 * the same schema.
 */

import { writeFileSync } from 'node:fs';
import { NodesFile } from '../managed-nodes/feeds/nodes-file.ts';

export function nodesSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    ...JSON.parse(JSON.stringify(NodesFile)),
  };
}

const [output] = process.argv.slice(2);
if (import.meta.main && output) writeFileSync(output, JSON.stringify(nodesSchema(), null, 2));
