/** Part of the table of errors: limits on what a container can use. */
export const CONFINEMENT_ERRORS = {
  'confinement.no_profile': {
    status: 500,
    text: 'the service cannot read the seccomp profile of containers from {path} ({why}); run "make build/seccomp.json"',
  },
  'confinement.console': {
    status: 500,
    text: "the service cannot deny the container access to the host's console, so it does not start the container: {why}; check that the service may write to control groups and load BPF programs",
  },
  'confinement.disk': {
    status: 500,
    text: "the service cannot limit the container's disk use below {directory}, so it does not start the container: {why}; if that filesystem cannot enforce project quotas, mount it without them, and the service monitors the disk instead",
  },
  'confinement.terminals': {
    status: 500,
    text: 'the service cannot limit how many pseudo-terminals the container opens, so it does not start the container: {why}; check that the service may change mounts',
  },
} as const;
