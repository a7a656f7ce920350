/**
 * The seccomp profile of hosted containers. It is part of each create body, because Docker's default profile is a
 * setting of the Engine that may have been changed. `scripts/seccomp.ts` makes it.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { HostConfig } from './create-body.ts';

/** Inserted by the bundler. */
declare const SECCOMP_PROFILE: string | undefined;

/**
 * The profile as JSON.
 * @throws {ServiceError} `confinement.no_profile` if the service runs from its sources and the profile has not been
 * made
 */
export function seccompProfile(): string {
  if (typeof SECCOMP_PROFILE === 'string') return SECCOMP_PROFILE;
  const path = join(import.meta.dirname, '../../build/seccomp.json');
  try {
    return JSON.stringify(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new ServiceError('confinement.no_profile', { path, why: messageOf(error) }, { cause: error });
  }
}

/** @param security Docker's security options, such as `name=seccomp,profile=builtin` */
export function takesProfiles(security: readonly string[]): boolean {
  return security.some((option) => /^name=seccomp(,|$)/.test(option));
}

/** Does not change a body that names a profile. Docker accepts `:` for `=` too. */
export function confine(asked: HostConfig['SecurityOpt'], profile: string | undefined): string[] {
  const options = asked ?? [];
  if (profile === undefined || options.some((option) => /^seccomp[=:]/.test(option))) return options;
  return [...options, `seccomp=${profile}`];
}
