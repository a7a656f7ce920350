/** The JSON Schemas of managed nodes in the operator's API. */

import { Type } from 'typebox';
import { NODE_STATES } from '../../managed-nodes/plan/world.ts';
import { NODE_NAME } from '../../managed-nodes/spec/node-spec.ts';

const time = (description: string) => Type.String({ format: 'date-time', description });
const state = Type.Enum([...NODE_STATES], { description: 'The state of a node.' });
const cause = Type.String({ description: 'The reason, as text for people.' });
const name = (description: string) => Type.String({ pattern: NODE_NAME, description });

export const ByNode = Type.Object({ node: name('The name of a node.') });

const RejectedContainer = Type.Object(
  {
    why: cause,
    exitCode: Type.Optional(Type.Integer({ description: 'Missing if it still ran.' })),
    lastLines: Type.Array(Type.String(), {
      description: 'The last lines of its output. They come from the container: do not trust them.',
    }),
    at: time('When it was rejected.'),
  },
  {
    description:
      'The new container that was rejected last. The service does not retry it until its spec changes.',
  },
);

export const Node = Type.Object(
  {
    name: name('The name of the node, and of its container.'),
    type: Type.Optional(Type.String({ description: 'The type of the node, from the feed.' })),
    image: Type.Optional(
      Type.String({
        description: 'The image that the feed names. Missing if the feed no longer wants the node.',
      }),
    ),
    state,
    cause,
    since: time('When it entered this state.'),
    container: Type.Optional(Type.String({ description: 'The docker id of its container.' })),
    candidate: Type.Optional(
      Type.String({ description: 'The docker id of the new container that will replace it.' }),
    ),
    digest: Type.Optional(Type.String({ description: "The digest of the container's image." })),
    lastError: Type.Optional(
      Type.String({ description: 'Why the last step failed. Missing once it has succeeded.' }),
    ),
    nextAttempt: Type.Optional(time('When the failed step is repeated.')),
    rejected: Type.Optional(RejectedContainer),
  },
  { title: 'Node', description: 'A managed node: a long-lived container that a feed wants.' },
);

export const Nodes = Type.Object(
  {
    app: Type.Optional(
      Type.String({ description: 'The app of the nodes. Missing until the feed was read.' }),
    ),
    feed: Type.String({ description: 'The source of the list of nodes.' }),
    feedError: Type.Optional(
      Type.String({ description: 'Why the feed cannot be used. The nodes stay as they are until then.' }),
    ),
    lookError: Type.Optional(
      Type.String({
        description: 'Why the service cannot see the containers. The states are older than this error.',
      }),
    ),
    locked: Type.Boolean({ description: 'Whether updates are deferred.' }),
    nodes: Type.Array(Node),
  },
  { title: 'Nodes' },
);

export const NodePlan = Type.Object(
  {
    steps: Type.Array(
      Type.Object({
        node: name('The node.'),
        do: Type.Enum(
          [
            'pull',
            'create',
            'start',
            'wait',
            'keep',
            'stop',
            'restart',
            'copy',
            'remove',
            'promote',
            'reject',
          ],
          {
            description:
              'The step. `wait` is for the health of a new container, `keep` has Docker restart it, `copy` creates a container like one that Docker can no longer start, and `promote` gives a container the name of the node.',
          },
        ),
        container: Type.Optional(Type.String({ description: 'The docker id, if the container exists.' })),
        cause,
      }),
    ),
  },
  {
    title: 'NodePlan',
    description: 'The steps that the service would carry out if each succeeded. It carries out none.',
  },
);

export const NodesText = Type.Object(
  { file: Type.String({ description: 'The text of a YAML file of nodes, in the format of NODES_FILE.' }) },
  { title: 'NodesText', additionalProperties: false },
);

export const NodeLock = Type.Object(
  { locked: Type.Boolean({ description: 'Whether updates are deferred.' }) },
  { title: 'NodeLock', additionalProperties: false },
);

export const NodeEventsQuery = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1e12, description: 'Only events after the one with this id.' }),
    ),
  },
  { additionalProperties: false },
);

export const NodeEvents = Type.Object(
  {
    events: Type.Array(
      Type.Object({
        id: Type.Integer({ description: 'Counts up. It begins anew when the service starts.' }),
        at: time('When it happened.'),
        node: Type.String({ description: 'The node.' }),
        state,
        cause,
      }),
    ),
  },
  { title: 'NodeEvents', description: 'At most the last thousand changes, oldest first.' },
);

export const NodeReceipts = Type.Object(
  {
    receipts: Type.Array(
      Type.Object({
        node: Type.String({ description: 'The node.' }),
        container: Type.String({ description: 'The docker id of the removed container.' }),
        image: Type.String({ description: 'The image that it was made from, with its digest.' }),
        created: time('When it was created.'),
        started: Type.Optional(time('When it started last. Missing if it never did.')),
        ended: Type.Optional(time('When it ended last. Missing if it ran until it was removed.')),
        exitCode: Type.Optional(Type.Integer({ description: 'Missing if it ran until it was removed.' })),
        restarts: Type.Integer({ description: 'How often Docker restarted it after an exit.' }),
        removed: time('When the service removed it.'),
        cause,
        successor: Type.Optional(
          Type.String({ description: 'The docker id of the container that took its place.' }),
        ),
      }),
    ),
  },
  {
    title: 'NodeReceipts',
    description: 'The containers of a node that the service has replaced or removed, newest first.',
  },
);
