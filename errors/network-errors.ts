/** Part of the table of errors: the isolation of containers in Docker's default bridge. */

export const NETWORK_ERRORS = {
  'network.not_apart': {
    status: 500,
    text: "the container cannot be isolated from other containers in Docker's default bridge, so it is not started: {why}; use a kernel with veth, bridge, sch_ingress and cls_bpf",
  },
  'network.not_linked': {
    status: 500,
    text: 'the container cannot be linked to {name}: {why}; install iproute2, and check that the kernel has cls_u32 and act_mirred',
  },
} as const;
