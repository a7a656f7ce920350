/** Part of the table of errors: commands about a running service. */

export const COMMAND_ERRORS = {
  'operator.bad_target': { status: 400, text: '{why}' },
  'operator.bad_option': { status: 400, text: '{option} expects {wanted}; got "{got}"' },
  'operator.env_from': {
    status: 400,
    text: '--env-from {file} cannot be used: {why}; each line must be NAME=VALUE, or NAME alone (its value then comes from the environment), or begin with #',
  },
  'operator.not_root': {
    status: 403,
    text: 'only root may use {where}; use sudo, or name a host with --host',
  },
  'operator.unreachable': {
    status: 503,
    text: 'no service answers at {where}: {why}; check that it runs ("systemctl status ecs-host-service"), or name a host with --host',
  },
  'operator.broken_off': {
    status: 502,
    text: 'the connection to the service broke before {image} was pulled ({why}); check that the service runs, and pull again',
  },
  'operator.create_broken_off': {
    status: 502,
    text: 'the connection to the service broke before the container was made ({why}); check that the service runs and that "ecs-host-service ps" does not show the container, then try again',
  },
  'operator.cut_off': {
    status: 502,
    text: 'the connection to the service broke before the end of the log; check that the service runs, then try again',
  },
  'operator.terminal_cut_off': {
    status: 503,
    text: 'the connection to the terminal {terminal} broke, but the terminal keeps running for a while; to return to it, run "ecs-host-service exec --attach {terminal}"',
  },
  'operator.refused': { status: 502, text: '{title}: {detail}' },
} as const;
