/** What fails while a container is confined to what it was allotted. */
export const CONFINEMENT_ERRORS = {
  'confinement.no_profile': {
    status: 500,
    text: 'the seccomp profile of containers cannot be read from {path} ({why}); run "make build/seccomp.json"',
  },
} as const;
