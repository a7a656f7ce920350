/** The output of the commands about managed nodes. */

import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCommandLine } from '../../src/commands/program.ts';
import { nodes } from '../../src/operator/nodes.ts';

const NODE = {
  name: 'web',
  type: 'http',
  image: 'registry.example.com/web:2',
  state: 'reverted',
  cause: 'the new container was rejected: it exited with code 7',
  since: new Date().toISOString(),
  container: 'c0ffee',
  digest: 'sha256:0123456789abcdef0123456789abcdef',
  rejected: {
    why: 'it exited with code 7',
    exitCode: 7,
    lastLines: ['bad\u001b[2J'],
    at: '2026-01-02T03:04:05.000Z',
  },
};
const STEP = { node: 'api', do: 'pull', cause: 'it has no container' };

/** Answers like a service. */
function api(answers: Readonly<Record<string, unknown>>) {
  const answer = async (path: string) => ({ data: answers[path], response: { ok: true, status: 200 } });
  return { GET: answer, PUT: answer, POST: answer } as never;
}

const ANSWERS = {
  '/v1/nodes': { app: 'demo', feed: '/nodes.yaml', feedError: 'it is no YAML', locked: true, nodes: [NODE] },
  '/v1/nodes/{node}': NODE,
  '/v1/nodes/plan': { steps: [STEP, { ...STEP, node: 'web', do: 'stop' }] },
  '/v1/nodes/lock': { locked: true },
};

test('nodes list shows states and causes, the error of the feed, and a lock', async () => {
  const lines = (await nodes(api(ANSWERS), { name: 'nodes list' }, false)).split('\n');
  assert.match(lines[0] ?? '', /^NODE +STATE +FOR +DIGEST +IMAGE +CAUSE$/);
  assert.match(
    lines[1] ?? '',
    /^web +reverted +\d+ s +0123456789ab +registry.example.com\/web:2 +the new container/,
  );
  assert.deepEqual(lines.slice(2), [
    'it is no YAML',
    'Updates are deferred by a lock; "ecs-host-service nodes unlock" removes it.',
    '',
  ]);
});

test('nodes list says when the service cannot see the containers', async () => {
  const answer = { feed: '/nodes.yaml', lookError: 'Docker does not answer', locked: false, nodes: [NODE] };
  const text = await nodes(api({ '/v1/nodes': answer }), { name: 'nodes list' }, false);
  assert.match(text, /^The states above may be old: Docker does not answer$/m);
});

test("nodes explain shows a node's last lines, without control sequences, and its next steps", async () => {
  const text = await nodes(api(ANSWERS), { name: 'nodes explain', node: 'web' }, false);
  assert.match(text, /^rejected +2026-01-02T03:04:05.000Z: it exited with code 7$/m);
  assert.match(text, /^ {2}\| bad/m);
  assert.ok(!text.includes('\u001b'));
  assert.match(text, /^1 +web +stop +it has no container$/m);
  assert.doesNotMatch(text, /api/);
});

test('nodes plan prints a table of steps, or says that there is nothing to do', async () => {
  const text = await nodes(api(ANSWERS), { name: 'nodes plan', file: undefined }, false);
  assert.match(text, /^STEP +NODE +DO +CAUSE\n1 +api +pull +it has no container\n2 +web +stop /);
  const none = await nodes(
    api({ '/v1/nodes/plan': { steps: [] } }),
    { name: 'nodes plan', file: undefined },
    false,
  );
  assert.equal(none, 'There is nothing to do.\n');
});

test('nodes plan --dry-run sends a file of nodes and prints the steps that it would cause', async () => {
  const sent: unknown[] = [];
  const POST = async (path: string, { body }: { readonly body: object }) => {
    sent.push(path, body);
    return { data: { steps: [STEP] }, response: { ok: true, status: 200 } };
  };
  await using directory = await mkdtempDisposable(join(tmpdir(), 'dry-'));
  const file = join(directory.path, 'nodes.yaml');
  await writeFile(file, 'app: demo');
  const text = await nodes({ POST } as never, { name: 'nodes plan', file }, false);
  assert.match(text, /^1 +api +pull /m);
  assert.deepEqual(sent, ['/v1/nodes/plan', { file: 'app: demo' }]);
  const missing = nodes({} as never, { name: 'nodes plan', file: `${file}.x` }, false);
  await assert.rejects(missing, { code: 'node.bad_feed' });
  const words = ['nodes', 'plan', '--dry-run', file];
  assert.equal((parseCommandLine(words) as { readonly file?: string }).file, file);
});

test('nodes receipts prints a table, the newest receipt first', async () => {
  const receipt = {
    node: 'web',
    container: 'c0ffee0123456789',
    image: 'web@sha256:1',
    created: '2026-01-01T00:00:00Z',
    started: '2026-01-01T00:00:00Z',
    ended: '2026-01-01T00:01:05Z',
    exitCode: 7,
    restarts: 0,
    removed: '2026-01-01T00:02:00.000Z',
    cause: 'it was rejected\u001b[2J',
  };
  const { started: _, ended: __, exitCode: ___, ...never } = receipt;
  const path = '/v1/nodes/{node}/receipts';
  const asked = { name: 'nodes receipts', node: 'web' } as const;
  const text = await nodes(api({ [path]: { receipts: [receipt, never] } }), asked, false);
  assert.match(text, /^REMOVED +CONTAINER +RAN +EXIT +IMAGE +CAUSE\n/);
  assert.match(text, /^2026-01-01T00:02:00.000Z +c0ffee012345 +1 min 5 s +7 +web@sha256:1 +it was rejected/m);
  assert.match(text, /^2026-01-01T00:02:00.000Z +c0ffee012345 +never +- /m);
  assert.ok(!text.includes('\u001b'));
  assert.match(await nodes(api({ [path]: { receipts: [] } }), asked, false), /^No container of this node/);
});

test('nodes events prints events with their times and causes, without control sequences', async () => {
  const event = {
    id: 3,
    at: '2026-01-01T00:00:00.000Z',
    node: 'web',
    state: 'failed',
    cause: 'bad\u001b[2J',
  };
  const events = api({ '/v1/nodes/events': { events: [event] } });
  const text = await nodes(events, { name: 'nodes events' }, false);
  assert.match(text, /^2026-01-01T00:00:00.000Z +web +failed +bad/);
  assert.ok(!text.includes('\u001b'));
  assert.deepEqual(JSON.parse(await nodes(events, { name: 'nodes events' }, true)), { events: [event] });
});

test('nodes restart, lock and unlock print what they did', async () => {
  const answers = api({ '/v1/nodes/{node}/restart': NODE, '/v1/nodes/lock': { locked: true } });
  const say = (asked: Parameters<typeof nodes>[1]) => nodes(answers, asked, false);
  assert.equal(
    await say({ name: 'nodes restart', node: 'web' }),
    'Node web is restarted as soon as it can be.\n',
  );
  assert.equal(await say({ name: 'nodes lock' }), 'Updates of managed nodes are deferred.\n');
  assert.equal(await say({ name: 'nodes unlock' }), 'Updates of managed nodes are allowed.\n');
});

test('the nodes commands are parsed', () => {
  const where = { where: { host: undefined, fingerprint: undefined }, isJson: false };
  const parsed = (words: string) => parseCommandLine(words.split(' '));
  assert.deepEqual(parsed('nodes list'), { name: 'nodes list', ...where });
  assert.deepEqual(parsed('nodes explain web'), { name: 'nodes explain', node: 'web', ...where });
  assert.deepEqual(parsed('nodes logs -f --tail 5 web'), {
    name: 'nodes logs',
    id: 'web',
    isFollowing: true,
    tail: '5',
    ...where,
  });
  assert.deepEqual(parsed('nodes exec -it web top -d 1'), {
    name: 'nodes exec',
    attach: undefined,
    as: 'write',
    id: 'web',
    command: ['top', '-d', '1'],
    user: undefined,
    ...where,
  });
  assert.deepEqual(parsed('nodes receipts web'), { name: 'nodes receipts', node: 'web', ...where });
  for (const words of ['nodes', 'nodes explain', 'nodes logs', 'nodes exec', 'nodes receipts'])
    assert.equal(parsed(words).name, 'misfit');
});
