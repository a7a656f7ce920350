/**
 * Derives the configuration of a release that changes only a task count or environment variables. Images stay the same.
 */

import type { ReleaseConfig } from '../config/read.ts';
import type { ContainersConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';

/**
 * @param names the services whose tasks are replaced in any case
 * @throws ReleaseError usage when there is no such service
 */
export function forced(config: ReleaseConfig, names: readonly string[]): ReleaseConfig {
  const { services = {} } = config;
  for (const name of names) if (!services[name]) throw unknown(name, { ...config, scheduled: {} });
  const all = Object.entries(services).map(([name, one]) => [
    name,
    names.includes(name) ? { ...one, forceNewDeployment: true } : one,
  ]);
  return { ...config, ...(config.services && { services: Object.fromEntries(all) }) };
}

/** @throws ReleaseError usage when there is no such service */
export function scaled(config: ReleaseConfig, name: string, count: number): ReleaseConfig {
  const service = config.services?.[name];
  if (!service) throw unknown(name, config);
  const { scheduled: _, tasks: __, ...rest } = config;
  const { kind: ___, forceNewDeployment: ____, ...kept } = service;
  return { ...rest, services: { [name]: { ...kept, containers: {}, count } } };
}

/**
 * @param words NAME=VALUE sets a variable, and NAME= removes it
 * @param only names of services and scheduled tasks; an empty list means all
 * @throws ReleaseError usage when a word or a name is wrong
 */
export function withVariables(
  config: ReleaseConfig,
  words: readonly string[],
  only: readonly string[],
): ReleaseConfig {
  const environment = Object.fromEntries(
    words.map((word) => {
      const [, name = '', value = ''] = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(word) ?? [];
      if (name === '')
        throw new ReleaseError('usage', `A variable must be NAME=VALUE, or NAME= to remove it.`);
      return [name, value === '' ? null : value];
    }),
  );
  const known = [...Object.keys(config.services ?? {}), ...Object.keys(config.scheduled ?? {})];
  for (const name of only) if (!known.includes(name)) throw unknown(name, config);
  const { tasks: _, ...rest } = config;
  const chosen = <T extends { readonly containers: ContainersConfig }>(
    all: Readonly<Record<string, T>> = {},
  ) =>
    Object.fromEntries(
      Object.entries(all)
        .filter(([name]) => only.length === 0 || only.includes(name))
        .map(([name, one]) => [name, { ...one, containers: setIn(one.containers, environment) }]),
    );
  const services = Object.entries(chosen(config.services)).map(([name, one]) => {
    const { kind: __, count: ___, forceNewDeployment: ____, ...kept } = one;
    return [name, kept];
  });
  const scheduled = Object.entries(chosen(config.scheduled)).map(([name, one]) => {
    const { kind: __, count: ___, schedule: ____, vcpu: _____, memory: ______, ...kept } = one;
    return [name, kept];
  });
  return {
    ...rest,
    services: Object.fromEntries(services),
    scheduled: Object.fromEntries(scheduled),
  };
}

/** Sets the variables only in containers that run an image of this configuration. */
function setIn(containers: ContainersConfig, environment: Record<string, string | null>): ContainersConfig {
  const own = Object.entries(containers).filter(([, { image }]) => image !== undefined);
  return Object.fromEntries(own.map(([name]) => [name, { environment }]));
}

function unknown(name: string, { services = {}, scheduled = {} }: ReleaseConfig): ReleaseError {
  const known = [...Object.keys(services), ...Object.keys(scheduled)].join(', ');
  return new ReleaseError('usage', `The configuration has no "${name}". It has: ${known}.`);
}
