/** Part of the table of errors: rights over this host that operators may be given. */

export const RIGHTS_ERRORS = {
  'create.mount_not_allowed': {
    status: 403,
    text: '{source} may not be mounted; ALLOWED_MOUNTS of this host names the directories that may',
  },
  'create.mount_leads_out': {
    status: 403,
    text: '{source} may not be mounted any more: {why}; see that it is a directory of its own, and no link to another one',
  },
  'start.mounts': {
    status: 500,
    text: 'ALLOWED_MOUNTS names what would let a container out: {why}; name a directory that holds nothing but what containers are to have, such as one in /srv',
  },
  'start.host_shell': {
    status: 500,
    text: 'HOST_SHELL_USER names a user that is equal to root: {why}; name another user, leave it out, or set HOST_SHELL_AS_ROOT=yes, which makes root of every operator',
  },
} as const;
