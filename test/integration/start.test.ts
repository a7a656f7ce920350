import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { host as hostContainer, startValues } from '../support/callers.ts';
import { keepProcesses } from '../support/evidence.ts';
import { LOGZIO_TOKEN, OWN_SECRET, SENTRY_KEY } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { START_STEPS } from '../support/start-steps.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

async function refuses(service: ServiceProcess, why: RegExp): Promise<void> {
  assert.equal(await service.ended(), 1);
  const fatal = service.lines.find(({ level }) => level === 'fatal');
  assert.match(String(fatal?.msg), why);
}

test('each step of the start is logged once', async () => {
  const service = await host.start().ready();
  await service.stop();
  const steps = service.lines.flatMap(({ msg, step }) => (msg === 'step done' ? [step] : []));
  assert.deepEqual(steps, START_STEPS);
});

test('the process is listed as ecs-host-service, and its command line shows no setting', async () => {
  const service = await host.start().ready();
  const proc = `/proc/${service.child.pid}`;
  assert.equal(readFileSync(`${proc}/comm`, 'utf8').trim(), 'ecs-host-service'.slice(0, 15));
  assert.match(readFileSync(`${proc}/cmdline`, 'utf8'), /^ecs-host-service\0*$/);
  await service.stop();
});

test('only root can start the service', async () => {
  await refuses(
    host.start({ entry: 'dying-service.ts', arguments: ['not-root'] }),
    /must run as root.*start it with sudo/,
  );
});

test('S11: the service does not start without a known APP_ENV', async () => {
  await refuses(host.start({ env: { APP_ENV: '' } }), /APP_ENV: must be given/);
  await refuses(host.start({ env: { APP_ENV: 'produciton' } }), /APP_ENV: must be one of .*got "produciton"/);
});

test('outside localdev, the service does not start with a well-known secret', async () => {
  const secret = { WEBSERVER_AUTH_SECRET: 'testwebserverauthsecretprod' };
  await refuses(
    host.start({ env: { APP_ENV: 'prod', ...secret } }),
    /WEBSERVER_AUTH_SECRET: this one is well known/,
  );
});

test('outside localdev, the service does not start without input devices', {
  skip: existsSync('/dev/uinput'),
}, async () => {
  const env = {
    APP_ENV: 'dev',
    WEBSERVER_AUTH_SECRET: OWN_SECRET,
    WEBSERVER_URL: 'https://127.0.0.1:1',
    USE_PROD_LOGGING: 'no',
  };
  await refuses(
    host.start({ env }),
    /no input devices|input devices to containers: there is no \/dev\/uinput; run "modprobe uinput"/,
  );
});

test('without input devices, the service in localdev logs that once', {
  skip: existsSync('/dev/uinput'),
}, async () => {
  const service = await host.start().ready();
  await hostContainer(service);
  await service.stop();
  assert.equal(service.lines.filter(({ msg }) => msg === 'containers get no input devices').length, 1);
});

test('C21: a second copy refuses to start and does not affect the first', async () => {
  const root = host.newRoot();
  const first = await host.start({ env: { ROOT: root } }).ready();
  await hostContainer(first);
  const second = host.start({ env: { ROOT: root, LISTEN_PORT: '4679' } });
  await refuses(
    second,
    new RegExp(`another copy of the service \\(pid ${first.child.pid}\\) runs on ${root}`),
  );
  assert.equal((await startValues(first, 32262)).status, 200);
  assert.equal(await first.stop(), 0);
});

test('C21: files that the service did not make are still there after it has ended', async () => {
  const root = host.newRoot();
  mkdirSync(join(root, 'fractal/keep'), { recursive: true });
  writeFileSync(join(root, 'fractal/keep/file'), 'precious');
  const service = await host.start({ env: { ROOT: root } }).ready();
  assert.equal(await service.stop(), 0);
  assert.equal(readFileSync(join(root, 'fractal/keep/file'), 'utf8'), 'precious');
  execFileSync('rm', ['-r', join(root, 'fractal')]);
});

test('a directory that other users can write is refused', async () => {
  const root = host.newRoot();
  mkdirSync(join(root, 'fractal'));
  execFileSync('chmod', ['777', join(root, 'fractal')]);
  await refuses(
    host.start({ env: { ROOT: root } }),
    /cannot prepare .*\/fractal: users other than root can write to it/,
  );
  execFileSync('rm', ['-r', join(root, 'fractal')]);
});

test('a root directory that is not writable is refused', async () => {
  const root = host.newRoot();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', root]);
  const service = host.start({ env: { ROOT: root } });
  await refuses(service, /cannot prepare .*EROFS.*make it a directory that root can write/);
  execFileSync('umount', [root]);
});

test('a listening port that is taken is refused with what to do', async () => {
  const other = createServer().listen(4678, '127.0.0.1');
  await once(other, 'listening');
  await refuses(host.start(), /cannot listen on 127\.0\.0\.1:4678: .*EADDRINUSE.*or set LISTEN_PORT/);
  other.close();
});

test('an unreadable certificate is refused', async () => {
  const env = { TLS_CERT_FILE: '/run/test/none.pem', TLS_KEY_FILE: '/run/test/none.pem' };
  await refuses(host.start({ env }), /the TLS certificate cannot be used: .*ENOENT/);
});

test('a Docker socket that does not answer is refused, and no Docker Engine is started for it', async () => {
  const env = { DOCKER_HOST: 'unix:///run/test/none.sock' };
  await refuses(host.start({ env }), /Docker does not answer at \/run\/test\/none\.sock/);
});

test('S12: the secret can come from a file, which must not be readable by others', async () => {
  const file = '/run/test/secret';
  writeFileSync(file, `${OWN_SECRET}\n`, { mode: 0o644 });
  await refuses(
    host.start({ env: { WEBSERVER_AUTH_SECRET_FILE: file } }),
    /must be readable by root alone.*chmod 600/,
  );
  execFileSync('chmod', ['600', file]);
  const service = await host.start({ env: { WEBSERVER_AUTH_SECRET_FILE: file } }).ready();
  await hostContainer(service);
  assert.equal(
    (await startValues(service, 32262)).status,
    401,
    'the well-known secret is no longer accepted',
  );
  assert.equal(await service.stop(), 0);
});

test('the service starts Docker if it is not running, and stops it again', async () => {
  await host.stopDocker();
  // The Engine inherits none of them: its environment and that of its children are searched after the run.
  const secrets = {
    WEBSERVER_AUTH_SECRET: OWN_SECRET,
    SENTRY_DSN: `https://${SENTRY_KEY}@127.0.0.1/1`,
    LOGZIO_SHIPPING_TOKEN: LOGZIO_TOKEN,
  };
  const service = await host.start({ env: secrets }).ready();
  assert.ok(keepProcesses(service.child.pid as number) > 0, 'at least one child was inspected');
  assert.ok(await host.dockerAnswers());
  await host.importImage('fractal/demo:current-build');
  const dockerId = await hostContainer(service);
  assert.equal(await host.hostPort(dockerId), 32262);
  assert.equal(await service.stop(), 0);
  assert.ok(!(await host.dockerAnswers()));
  await host.startDocker();
});

test('if the Docker Engine cannot be started, the service reports it and leaves nothing behind', async () => {
  await host.stopDocker();
  await refuses(host.start({ env: { PATH: '/usr/bin:/bin' } }), /Docker does not answer .*dockerd/);
  await host.startDocker();
});
