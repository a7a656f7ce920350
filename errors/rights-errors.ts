/** Part of the table of errors: the rights on this host that operators can be given. */

export const RIGHTS_ERRORS = {
  'create.mount_not_allowed': {
    status: 403,
    text: '{source} may not be mounted; choose a directory in ALLOWED_MOUNTS of this host',
  },
  'create.mount_leads_out': {
    status: 403,
    text: '{source} may no longer be mounted: {why}; make it a real directory, not a link to another one',
  },
  'start.mounts': {
    status: 500,
    text: 'ALLOWED_MOUNTS names a directory through which a container could take over this host: {why}; name a directory that holds only what containers may have, such as one in /srv',
  },
  'start.host_shell': {
    status: 500,
    text: 'HOST_SHELL_USER names a user who has the same rights as root: {why}; name another user, leave the setting out, or set HOST_SHELL_AS_ROOT=yes, which makes every operator root',
  },
} as const;
