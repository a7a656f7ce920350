/** Part of the table of errors: commands about a running service. */

export const COMMAND_ERRORS = {
  'operator.bad_target': { status: 400, text: '{why}' },
  'operator.bad_option': { status: 400, text: '{option} must be like {wanted}; got "{got}"' },
  'operator.not_root': {
    status: 403,
    text: '{where} is for root alone; use sudo, or name a host with --host',
  },
  'operator.unreachable': {
    status: 503,
    text: 'no service answers at {where}: {why}; see that it runs ("systemctl status ecs-host-service"), or name a host with --host',
  },
  'operator.terminal_cut_off': {
    status: 503,
    text: 'the connection to the terminal {terminal} broke; it goes on for a while: "ecs-host-service exec --attach {terminal}"',
  },
  'operator.refused': { status: 502, text: '{title}: {detail}' },
} as const;
