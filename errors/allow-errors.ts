/** Part of the table of errors: Docker requests that hosted containers are not allowed to make. */

export const ALLOW_ERRORS = {
  'create.restart_policy': {
    status: 422,
    text: 'an interactive container must not have the restart policy "{policy}", because Docker would start it again without its devices; leave the policy out',
  },
  'create.privileged': {
    status: 422,
    text: "an interactive container must not be privileged, because it could open every other container's devices; name the capabilities that it needs instead",
  },
  'create.not_allowed': {
    status: 422,
    text: 'a hosted container may not ask for {field} {value}; {remedy}',
  },
  'container.copy_into_mount': {
    status: 403,
    text: 'you cannot copy to {target} in a hosted container, because this host mounts it; copy to another place',
  },
} as const;
