/** What goes wrong with terminals. A part of the table of errors. */

export const TERMINAL_ERRORS = {
  'terminal.unknown': {
    status: 404,
    text: 'there is no terminal {id}, or it has ended; GET /v1/terminals lists those that there are',
  },
  'terminal.has_writer': {
    status: 409,
    text: 'somebody types into the terminal {id} already; take it from them (as=take), or watch (as=watch)',
  },
  'terminal.too_many': {
    status: 409,
    text: '{place} has {most} terminals already; end one, or raise {setting}',
  },
  'terminal.no_upgrade': {
    status: 426,
    text: 'a terminal is spoken to by WebSocket; send a handshake, with the version 13',
  },
  'terminal.no_host_shell': {
    status: 403,
    text: 'nobody can have a shell on this host: {why}; HOST_SHELL_USER names the user that it is for',
  },
} as const;
