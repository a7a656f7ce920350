/** The ECS agent as its packages run it: systemd's unit ecs.service, here with a program that only runs and exits. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { GuestHost } from './guest-host.ts';
import { show, type UnitService, untilState } from './unit-service.ts';

const AGENT = 'ecs.service';
const FILE = `/etc/systemd/system/${AGENT}`;
/** The settings that the packages pass to the agent's container. */
const SETTINGS = '/var/lib/ecs/ecs.config';
const OWN_SETTINGS = 'ECS_CLUSTER=guest\n';
const PROGRAM = '/usr/local/sbin/played-agent';
const ENVIRONMENT = '/run/test/agent-environment';
const SOCKET = '/var/run/ecs-host-service/docker.sock';

/** The unit's program starts another one, which has the agent's name in its image and the settings. */
const PLAYED = `#!/bin/bash
env > ${ENVIRONMENT}
trap 'exit 1' USR1
(set -a; . ${SETTINGS}; exec -a /agent sleep infinity) &
wait
`;
const PACKAGED = `[Service]
Environment=DOCKER_HOST=unix:///elsewhere.sock
ExecStart=${PROGRAM}
Restart=always
RestartSec=100ms
`;

const host = await GuestHost.open();
let service: UnitService;

before(() => {
  for (const directory of ['/etc/ecs', '/var/lib/ecs']) mkdirSync(directory, { recursive: true });
  writeFileSync(SETTINGS, OWN_SETTINGS);
  writeFileSync(PROGRAM, PLAYED, { mode: 0o755 });
  writeFileSync(FILE, PACKAGED);
  execFileSync('systemctl', ['daemon-reload']);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  for (const path of [FILE, PROGRAM, SETTINGS]) rmSync(path);
  execFileSync('systemctl', ['daemon-reload']);
});

async function start(): Promise<void> {
  service = await host.start({ ECS_AGENT: 'unit' });
  await service.message('started the ECS agent');
  await untilState('active', AGENT);
}

function assertAsBefore(): void {
  assert.equal(show('ActiveState', AGENT), 'inactive');
  assert.equal(show('DropInPaths', AGENT), '');
  assert.equal(show('Restart', AGENT), 'always');
  assert.equal(readFileSync(SETTINGS, 'utf8'), OWN_SETTINGS);
}

test('the unit of the packages is started with settings that make its agent use the service as Docker', async () => {
  await start();
  assert.equal(show('Restart', AGENT), 'no');
  assert.doesNotMatch(readFileSync(ENVIRONMENT, 'utf8'), /DOCKER_HOST/);
  assert.equal(readFileSync(SETTINGS, 'utf8'), `${OWN_SETTINGS}DOCKER_HOST=unix://${SOCKET}\n`);
  assert.equal(String(await new Dockerode({ socketPath: SOCKET }).ping()), 'OK');
});

test('the service restarts a unit that fails', async () => {
  const first = show('InvocationID', AGENT);
  const lines = service.lines.length;
  execFileSync('systemctl', ['kill', '--kill-who=main', '--signal=USR1', AGENT]);
  await service.line(
    ({ msg }) => /^the ECS agent exited with exit code 1, and the service restarts it/.test(msg),
    lines,
  );
  await service.message('started the ECS agent', lines);
  await untilState('active', AGENT);
  assert.notEqual(show('InvocationID', AGENT), first);
});

test('when the service ends, the unit has ended and its files are unchanged', async () => {
  assert.equal(await service.stop(), 0);
  assertAsBefore();
});

test('after the service dies, the unit is stopped with everything else, and its files are unchanged', async () => {
  await start();
  await service.die('SIGKILL');
  assertAsBefore();
});
