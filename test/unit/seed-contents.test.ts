/** The files on the ISO that sets up a virtual machine, and the mistakes that are found before it is made. */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gather } from '../../scripts/seed/contents.ts';

const directory = mkdtempSync(join(tmpdir(), 'seed-'));
after(() => rmSync(directory, { recursive: true }));

const SETTINGS = 'APP_ENV=production\nINTERACTIVE=off\nUSE_PROD_LOGGING=no\n';
const NODES = 'app: demo\nnodes: [{ name: web, image: x }]\n';
const SECRETS = '# of this host\nOPERATOR_TOKEN=0123456789abcdef0123456789abcdef\n';
const NONE = { settings: '', secrets: '', nodes: '', sshKey: '' };

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
}

const settings = file('settings', SETTINGS);
const nodes = file('nodes.yaml', NODES);

function problemWith(more: Partial<typeof NONE>): string {
  const found = gather({ ...NONE, settings, nodes, ...more });
  return typeof found === 'string' ? found : '';
}

test('the ISO contains the settings, the file of nodes, the SSH key, and one file for each secret', () => {
  const key = 'ssh-ed25519 AAAA person\n';
  const found = gather({ settings, nodes, secrets: file('secrets', SECRETS), sshKey: file('key.pub', key) });
  assert.deepEqual(found, {
    texts: {
      settings: `NODES_FEED=file\n${SETTINGS}NODES_FILE=/etc/ecs-host-service/nodes.yaml\n`,
      'credentials/OPERATOR_TOKEN': '0123456789abcdef0123456789abcdef',
      'nodes.yaml': NODES,
      'ssh-key': key,
      port: '4678',
    },
  });
});

test('a setting reaches the service as it was given, also with quotes and backslashes', () => {
  const given = file('quotes', `${SETTINGS}TENANT="a" \\ $b\n`);
  const found = gather({ ...NONE, nodes, settings: given });
  assert.ok(typeof found !== 'string');
  assert.match(found.texts.settings ?? '', /^TENANT="\\"a\\" \\\\ \\\$b"$/m);
});

test('a port that listens only on loopback is not opened', () => {
  const found = gather({ ...NONE, nodes, settings: file('local', `${SETTINGS}LISTEN_ADDRESS=127.0.0.1\n`) });
  assert.ok(typeof found !== 'string' && !('port' in found.texts));
});

test('settings that the service would refuse are refused before the ISO is made', () => {
  assert.match(problemWith({ settings: '' }), /SETTINGS must name a file/);
  assert.match(problemWith({ nodes: '' }), /INTERACTIVE: with off and without nodes/);
  assert.match(
    problemWith({ settings: file('few', 'APP_ENV=production\n') }),
    /WEBSERVER_URL: must be given/,
  );
  assert.match(problemWith({ settings: file('line', 'APP_ENV\n') }), /line 1 is not NAME=value/);
  assert.match(problemWith({ nodes: file('bad.yaml', 'app: demo\nnodes: 1\n') }), /bad\.yaml/);
});

test('secrets are read only from a file that only its owner can read, and are never quoted', () => {
  const secrets = file('open', SECRETS);
  chmodSync(secrets, 0o640);
  assert.match(problemWith({ secrets }), /other users can read it/);
  assert.match(
    problemWith({ settings: file('mixed', SETTINGS + SECRETS) }),
    /OPERATOR_TOKEN: put secrets into/,
  );
  assert.match(
    problemWith({ secrets: file('other', 'LOG_LEVEL=debug\n') }),
    /SECRETS may contain only secrets/,
  );
  const broken = problemWith({ secrets: file('broken', 'a secret without a name\n') });
  assert.match(broken, /line 1 is not NAME=value$/);
});

test('a private SSH key, or a file that contains no public key, is refused', () => {
  const key = '-----BEGIN OPENSSH PRIVATE KEY-----\n';
  assert.match(problemWith({ sshKey: file('id', key) }), /this is a private key/);
  assert.match(problemWith({ sshKey: file('none', 'hello\n') }), /not an SSH public key/);
});
