/** Part of the table of errors: the pools of warm containers. */

export const POOL_ERRORS = {
  'pool.unknown': {
    status: 404,
    text: 'there is no pool {name} on this host; list the pools with "ecs-host-service pools list"',
  },
  'pool.too_many': {
    status: 409,
    text: 'this host already has {most} pools, which is the maximum; remove one with "ecs-host-service pools remove NAME"',
  },
  'start.pools': {
    status: 500,
    text: 'the pools in {file} cannot be used: {why}; correct the file, or set POOL=none',
  },
} as const;
