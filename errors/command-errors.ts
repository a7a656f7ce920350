/** Part of the table of errors: commands about a running service. */

export const COMMAND_ERRORS = {
  'operator.bad_target': { status: 400, text: '{why}' },
  'operator.bad_option': { status: 400, text: '{option} must be like {wanted}; got "{got}"' },
  'operator.env_from': {
    status: 400,
    text: '--env-from {file} cannot be used: {why}; each line is NAME=VALUE, or NAME alone, which takes its value from the environment, or begins with #',
  },
  'operator.not_root': {
    status: 403,
    text: '{where} is for root alone; use sudo, or name a host with --host',
  },
  'operator.unreachable': {
    status: 503,
    text: 'no service answers at {where}: {why}; see that it runs ("systemctl status ecs-host-service"), or name a host with --host',
  },
  'operator.broken_off': {
    status: 502,
    text: 'the service broke off before {image} was pulled ({why}); see that it runs, and pull again',
  },
  'operator.create_broken_off': {
    status: 502,
    text: 'the service broke off before it said that the container was made ({why}); see that it runs, and with "ecs-host-service ps" whether the container is there, then try again',
  },
  'operator.cut_off': {
    status: 502,
    text: 'the service broke off before the end of the log; see that it runs, then ask again',
  },
  'operator.terminal_cut_off': {
    status: 503,
    text: 'the connection to the terminal {terminal} broke; it goes on for a while: "ecs-host-service exec --attach {terminal}"',
  },
  'operator.refused': { status: 502, text: '{title}: {detail}' },
} as const;
