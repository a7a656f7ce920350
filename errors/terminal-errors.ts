/** What goes wrong with terminals. A part of the table of errors. */

export const TERMINAL_ERRORS = {
  'terminal.unknown': {
    status: 404,
    text: 'there is no terminal {id}, or it has ended; GET /v1/terminals lists the open ones',
  },
  'terminal.has_writer': {
    status: 409,
    text: 'somebody already types in the terminal {id}; take over (as=take), or watch (as=watch)',
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
