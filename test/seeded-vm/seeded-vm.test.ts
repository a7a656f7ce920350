/** What became of a virtual machine that booted from an ISO of `make seed-iso`, and has no network. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { OPERATOR_TOKEN } from '../support/secrets.ts';

const SETTINGS = '/etc/ecs-host-service';
/** Where cloud-init keeps the output of what it runs. */
const OUTPUT = '/var/log/cloud-init-output.log';

function told(program: string, ...words: string[]): string {
  return execFileSync(program, words, { encoding: 'utf8' }).trim();
}

const stateOf = (unit: string, question = 'is-active') =>
  spawnSync('systemctl', [question, unit], { encoding: 'utf8' }).stdout.trim();

before(() => {
  if (!existsSync(OUTPUT) || !/^seed: done/m.test(readFileSync(OUTPUT, 'utf8')))
    console.log(existsSync(OUTPUT) ? readFileSync(OUTPUT, 'utf8').slice(-4000) : 'cloud-init ran nothing');
});

test('a virtual machine without a network that boots from the ISO runs the service and its nodes', async () => {
  assert.equal(stateOf('ecs-host-service.service'), 'active');
  const list = () => JSON.parse(told('ecs-host-service', 'nodes', 'list', '--json'));
  for (let looks = 0; looks < 30 && list().nodes[0]?.state !== 'running'; looks++) await pause(1000);
  const { app, nodes } = list();
  assert.deepEqual([app, nodes[0]?.name, nodes[0]?.state], ['demo', 'web', 'running']);
  assert.equal(told('docker', 'ps', '--format', '{{.Names}}'), 'web');
});

test('only the key of the ISO signs in to the virtual machine, and never as root', () => {
  const sshd = told('/usr/sbin/sshd', '-T');
  for (const line of [
    'passwordauthentication no',
    'kbdinteractiveauthentication no',
    'permitrootlogin no',
    'authenticationmethods publickey',
    'allowusers admin',
  ])
    assert.ok(sshd.includes(`${line}\n`), line);
  assert.equal(stateOf('ssh.service'), 'active');
  for (const user of ['root', 'admin'])
    assert.match(told('passwd', '--status', user), new RegExp(`^${user} L `));
  assert.equal(existsSync('/root/.ssh/authorized_keys'), false);
  assert.match(readFileSync('/home/admin/.ssh/authorized_keys', 'utf8'), /^ssh-ed25519 /);
});

test('the virtual machine accepts only what it needs, and its filter leaves the rules of Docker alone', () => {
  const filter = () => told('nft', 'list', 'table', 'inet', 'host_filter');
  assert.match(filter(), /policy drop/);
  assert.deepEqual(filter().match(/tcp dport \d+ accept/g), ['tcp dport 22 accept', 'tcp dport 4678 accept']);
  const dockers = () => told('iptables', '--list-rules', 'DOCKER-USER');
  const rules = dockers();
  assert.match(rules, /169\.254\.169\.254/);
  told('systemctl', 'restart', 'nftables.service');
  told('systemctl', 'reload', 'nftables.service');
  assert.equal(dockers(), rules);
  assert.equal(filter().match(/chain input/g)?.length, 1);
  assert.equal(stateOf('nftables.service', 'is-enabled'), 'enabled');
});

test('the virtual machine installs security updates by itself, and keeps its time', () => {
  const settings = told('apt-config', 'dump');
  assert.match(settings, /APT::Periodic::Unattended-Upgrade "1"/);
  const origins = settings.match(/^Unattended-Upgrade::Origins-Pattern:: .*$/gm);
  assert.equal(origins?.length, 1);
  assert.match(origins[0] ?? '', /label=Debian-Security/);
  for (const unit of ['unattended-upgrades.service', 'systemd-timesyncd.service'])
    assert.equal(stateOf(unit, 'is-enabled'), 'enabled', unit);
});

test('the secrets of the ISO are for root alone, and cloud-init keeps none', () => {
  const file = `${SETTINGS}/credentials/OPERATOR_TOKEN`;
  assert.equal(readFileSync(file, 'utf8'), OPERATOR_TOKEN);
  for (const path of [file, `${SETTINGS}/environment`, `${SETTINGS}/nodes.yaml`])
    assert.deepEqual([statSync(path).uid, statSync(path).mode & 0o777], [0, 0o600], path);
  const kept = spawnSync('grep', [
    '-r',
    '-l',
    '-s',
    OPERATOR_TOKEN,
    '/var/lib/cloud',
    '/var/log',
    '/run/cloud-init',
  ]);
  assert.equal(kept.stdout.toString(), '');
});
