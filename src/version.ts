import manifest from '../package.json' with { type: 'json' };

/** The version in this service's package.json. */
export const VERSION: string = manifest.version;
