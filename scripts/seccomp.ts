/**
 * Makes the seccomp profile of a host out of Docker's own: browsers can build their sandboxes in a container, and an
 * input device that was handed to a container cannot be made into another one. `seccomp.ts SOURCE OUTPUT`
 */

import { readFileSync, writeFileSync } from 'node:fs';

const [source = '', output = ''] = process.argv.slice(2);

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly unknown[] | null;
  readonly includes?: object;
  readonly excludes?: object;
}

interface Profile {
  readonly defaultAction: string;
  readonly syscalls: readonly Rule[];
}

const ALLOW = 'SCMP_ACT_ALLOW';
/**
 * Docker's profile has them for CAP_SYS_ADMIN and CAP_SYS_CHROOT alone; a user namespace gives these to anybody, for
 * what is in it. clone3, which no filter can look into, stays without: libc takes its ENOSYS and goes on with clone.
 */
const SANDBOX = ['chroot', 'clone', 'setns', 'unshare'];
/** Of uinput: with it a device gets a name that the host's udev rules do not know. */
const UI_DEV_CREATE = 0x5501;

function fail(what: string): never {
  throw new Error(`${source} is no seccomp profile of Docker's as this script knows it: ${what}`);
}

function isEmpty(value: object | null | undefined): boolean {
  return Object.keys(value ?? {}).length === 0;
}

function isUnconditional({ args, includes, excludes }: Rule): boolean {
  return [args, includes, excludes].every(isEmpty);
}

/** @throws Error when a change would not mean what it is meant to */
function check({ defaultAction, syscalls }: Profile): void {
  if (defaultAction !== 'SCMP_ACT_ERRNO') fail(`defaultAction is ${defaultAction}, not SCMP_ACT_ERRNO`);
  if (!Array.isArray(syscalls) || !syscalls.every(({ names }) => Array.isArray(names)))
    fail('syscalls is no list of rules with names');
  for (const name of [...SANDBOX, 'ioctl']) {
    const rules = syscalls.filter(({ names }) => names.includes(name));
    if (rules.length === 0) fail(`no rule names ${name}`);
    if (rules.some(({ action }) => action !== ALLOW)) fail(`a rule does something else than allow ${name}`);
    if (name === 'ioctl' && !rules.every(isUnconditional)) fail('ioctl is allowed on conditions already');
  }
}

/**
 * Every ioctl whose request is another: one rule for each bit that can differ, since rules add up to what is allowed.
 * The kernel takes 32 bits of the 64 that a filter sees, so to compare all of them would let 0x1_0000_5501 through.
 */
function otherIoctls(): Rule[] {
  return Array.from({ length: 32 }, (_, i) => {
    const bit = 2 ** i;
    const valueTwo = (UI_DEV_CREATE >>> i) & 1 ? 0 : bit;
    const args = [{ index: 1, value: bit, valueTwo, op: 'SCMP_CMP_MASKED_EQ' }];
    return { names: ['ioctl'], action: ALLOW, args };
  });
}

function change(profile: Profile): Profile {
  const changed = [...SANDBOX, 'ioctl'];
  const kept = profile.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !changed.includes(name)) }))
    .filter(({ names }) => names.length > 0);
  return { ...profile, syscalls: [...kept, { names: SANDBOX, action: ALLOW }, ...otherIoctls()] };
}

const profile: Profile = JSON.parse(readFileSync(source, 'utf8'));
check(profile);
writeFileSync(output, `${JSON.stringify(change(profile), null, 2)}\n`);
