/** Part of the table of errors: what containers write. */

export const LOG_ERRORS = {
  'container.no_log': {
    status: 404,
    text: 'no running container has an id that begins with {name}, and no log of an ended one is kept; only the last thousand logs are kept, as far as Docker had them',
  },
  'log.unreadable': {
    status: 409,
    text: 'Docker cannot read the log of its container {id}, because the log driver is {driver}; read the log where that driver sends it, or use another driver for new containers',
  },
} as const;
