import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { importArchive } from '../../scripts/image.ts';
import { TestHost } from '../support/test-host.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILD = join(ROOT, 'build');
const OURS = join(BUILD, 'seccomp.json');
const DOCKERS = join(BUILD, 'docker-seccomp.json');
const IMAGE = 'test/seccomp-probe:1';
const REFUSED = 'Operation not permitted';

type Answers = Readonly<Record<string, string>>;

const host = new TestHost();
const work = mkdtempSync(join(tmpdir(), 'seccomp-'));
let unconfined: Answers;
before(async () => {
  await host.startDocker();
  await importArchive(host.docker, IMAGE, ['-C', BUILD, 'seccomp-probe'], 'CMD ["/seccomp-probe"]');
  unconfined = await probe('seccomp=unconfined');
});
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});
afterEach(() => host.finish());

/** What the kernel says in a container to each probe of a user without capabilities. */
async function probe(...SecurityOpt: string[]): Promise<Answers> {
  const container = await host.docker.createContainer({
    Image: IMAGE,
    User: '1000',
    Tty: true,
    HostConfig: { CapDrop: ['ALL'], SecurityOpt },
  });
  await container.start();
  assert.equal((await container.wait()).StatusCode, 0);
  const text = String(await container.logs({ stdout: true }));
  await container.remove();
  return Object.fromEntries(
    text
      .trim()
      .split('\r\n')
      .map((line) => line.split(': ')),
  );
}

/** As without a profile, but that those are refused, and that libc is sent from clone3 to clone. */
function refusing(refused: (name: string) => boolean): Answers {
  const names = Object.keys(unconfined).filter(refused);
  const refusals = Object.fromEntries(names.map((name) => [name, REFUSED]));
  return { ...unconfined, clone3: 'Function not implemented', ...refusals };
}

const makesDevice = (name: string): boolean => name.startsWith('UI_DEV_CREATE');
const makesSandbox = (name: string): boolean => /namespace|nowhere/.test(name);

test('without a profile nothing is refused, so that a refusal is the work of one', () => {
  assert.deepEqual(
    Object.entries(unconfined).filter(([, answer]) => answer === REFUSED),
    [],
  );
  assert.ok(Object.keys(unconfined).filter(makesDevice).length >= 3, Object.keys(unconfined).join());
});

test("in Docker's own profile no user can build a sandbox, and each can make a device", async () => {
  assert.deepEqual(await probe(), refusing(makesSandbox));
});

test('in ours each user can build a sandbox, and none can make a device, by whichever bits or system call', async () => {
  assert.deepEqual(await probe(`seccomp=${readFileSync(OURS, 'utf8')}`), refusing(makesDevice));
});

test('Docker takes ours for all containers too, and says so', async () => {
  await host.stopDocker();
  await host.startDocker(['--seccomp-profile', OURS]);
  const { SecurityOptions } = await host.docker.info();
  assert.ok(SecurityOptions.includes(`name=seccomp,profile=${OURS}`), SecurityOptions.join());
  assert.deepEqual(await probe(), refusing(makesDevice));
});

/** Makes a profile of a source that is Docker's with another text somewhere. */
function make(text: string, other: string) {
  const source = readFileSync(DOCKERS, 'utf8');
  assert.ok(source.includes(text), text);
  const output = join(work, 'output.json');
  writeFileSync(join(work, 'source.json'), source.replaceAll(text, other));
  const script = join(ROOT, 'scripts/seccomp.ts');
  const made = spawnSync(process.execPath, [script, join(work, 'source.json'), output], { encoding: 'utf8' });
  return { ...made, bytes: existsSync(output) ? readFileSync(output, 'utf8') : undefined };
}

for (const [text, other, reason] of [
  [
    '"defaultAction": "SCMP_ACT_ERRNO"',
    '"defaultAction": "SCMP_ACT_ALLOW"',
    'defaultAction is SCMP_ACT_ALLOW',
  ],
  ['"ioctl"', '"ioctl2"', 'no rule names ioctl'],
  ['"bpf"', '"ioctl"', 'ioctl is allowed on conditions already'],
  ['"clone3"', '"unshare"', 'a rule does something else than allow unshare'],
  ['"names"', '"name"', 'syscalls is no list of rules with names'],
] as const) {
  test(`no profile is made of one that is not understood: ${reason}`, () => {
    const { status, stderr, bytes } = make(text, other);
    assert.equal(status, 1);
    assert.ok(stderr.includes(`as this script knows it: ${reason}`), stderr);
    assert.equal(bytes, undefined);
  });
}

test('the same source gives the same bytes', () => {
  assert.equal(make('SCMP_ARCH_X86_64', 'SCMP_ARCH_X86_64').bytes, readFileSync(OURS, 'utf8'));
});

test("where Docker's own profile cannot be fetched, whoever builds is told what to do", () => {
  const env = { PATH: '/nowhere' };
  const { status, stderr } = spawnSync('/bin/sh', [join(ROOT, 'scripts/docker-profile.sh')], {
    env,
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /apt-get.* is missing\.\nPut .*default\.json .* at build\/docker-seccomp\.json/);
});
