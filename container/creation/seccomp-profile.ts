/**
 * The seccomp profile of hosted containers. Each gets it in its create body, because what Docker gives to containers
 * that name none is a setting of the Engine, which anybody may have changed. It is made by `scripts/seccomp.ts`.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { HostConfig } from './create-body.ts';

/** Put in by the bundler. */
declare const SECCOMP_PROFILE: string | undefined;

/** As JSON. @throws {ServiceError} `confinement.no_profile` where the sources run and it has not been made */
export function seccompProfile(): string {
  if (typeof SECCOMP_PROFILE === 'string') return SECCOMP_PROFILE;
  const path = join(import.meta.dirname, '../../build/seccomp.json');
  try {
    return JSON.stringify(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new ServiceError('confinement.no_profile', { path, why: messageOf(error) }, { cause: error });
  }
}

/** @param security what Docker says of its security, such as `name=seccomp,profile=builtin` */
export function takesProfiles(security: readonly string[]): boolean {
  return security.some((option) => /^name=seccomp(,|$)/.test(option));
}

/** Leaves alone a body that names a profile. Docker takes `:` for `=` too. */
export function confine(asked: HostConfig['SecurityOpt'], profile: string | undefined): string[] {
  const options = asked ?? [];
  if (profile === undefined || options.some((option) => /^seccomp[=:]/.test(option))) return options;
  return [...options, `seccomp=${profile}`];
}
