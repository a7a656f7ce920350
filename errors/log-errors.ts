/** Part of the table of errors: the output of containers. */

export const LOG_ERRORS = {
  'container.no_log': {
    status: 404,
    text: 'no running container has an id that begins with {name}, and no log of an ended one is kept; the service keeps only the logs of the last thousand containers',
  },
  'log.unreadable': {
    status: 409,
    text: 'Docker cannot read the log of its container {id}, because the container uses the log driver {driver}; read the log where that driver sends it, or use another driver for new containers',
  },
} as const;
