/** What fails while a container is confined to what it was allotted. */
export const CONFINEMENT_ERRORS = {
  'confinement.no_profile': {
    status: 500,
    text: 'the seccomp profile of containers cannot be read from {path} ({why}); run "make build/seccomp.json"',
  },
  'confinement.console': {
    status: 500,
    text: "the host's console cannot be withheld from the container, so the container is not started: {why}; check that this service may write control groups and load BPF programs",
  },
  'confinement.disk': {
    status: 500,
    text: 'the disk use of the container below {directory} cannot be limited, so the container is not started: {why}; if that filesystem cannot keep project quotas, mount it without them, and the service watches the disk instead',
  },
  'confinement.terminals': {
    status: 500,
    text: 'the container could open all pseudo terminals of the host, so it is not started: {why}; see that this service may change mounts',
  },
} as const;
