/** The environments that the service runs in. The defaults of some settings depend on them. */

export const ENVIRONMENTS = ['localdev', 'dev', 'staging', 'production'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

const ALIASES = new Map(
  Object.entries<Environment>({
    localdev: 'localdev',
    dev: 'dev',
    development: 'dev',
    staging: 'staging',
    prod: 'production',
    production: 'production',
  }),
);

export function parseEnvironment(text: string): Environment {
  const environment = ALIASES.get(text.toLowerCase());
  if (!environment) throw new Error(`must be one of ${[...ALIASES.keys()].join(', ')}; got "${text}"`);
  return environment;
}
