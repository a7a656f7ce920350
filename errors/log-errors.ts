/** Part of the table of errors: what containers write. */

export const LOG_ERRORS = {
  'container.no_log': {
    status: 404,
    text: 'no container has an id that begins with {name}, nor is there a kept log of one; those of the last thousand are kept, as far as Docker had them',
  },
  'log.unreadable': {
    status: 409,
    text: 'Docker keeps no log of its container {id} that can be read: the log driver is {driver}; read it where that sends it, or have containers made with another one',
  },
} as const;
