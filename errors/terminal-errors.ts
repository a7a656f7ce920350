/** Part of the table of errors: terminals. */

export const TERMINAL_ERRORS = {
  'terminal.unknown': {
    status: 404,
    text: 'there is no terminal {id}, or it has ended; GET /v1/terminals lists the open ones',
  },
  'terminal.has_writer': {
    status: 409,
    text: 'another client already has the input of terminal {id}; take it over (as=take), or only watch (as=watch)',
  },
  'terminal.too_many': {
    status: 409,
    text: '{place} already has {most} terminals; end one, or raise {setting}',
  },
  'terminal.no_upgrade': {
    status: 426,
    text: 'a terminal needs a WebSocket; send a WebSocket handshake, version 13',
  },
  'terminal.no_host_shell': {
    status: 403,
    text: 'nobody can open a shell on this host: {why}; set HOST_SHELL_USER to the user that the shell is for',
  },
} as const;
