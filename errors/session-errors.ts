/** Part of the table of errors: the web console and its sessions. */

export const SESSION_ERRORS = {
  'session.cross_site': {
    status: 403,
    text: 'the session of the web console is not accepted here: {why}; open /console on this host itself',
  },
  'session.ended': {
    status: 401,
    text: 'the session of the web console has ended; sign in again at /console',
  },
  'session.not_built': {
    status: 503,
    text: 'the web console was not built; run "make console" in the checkout, or install a release',
  },
} as const;
