/** Part of the table of errors: GPUs. */

export const GPU_ERRORS = {
  'create.no_gpu': {
    status: 409,
    text: "Docker has neither the nvidia runtime nor nvidia's CDI devices on this host; leave the GPU out, use another host, or install NVIDIA's container toolkit",
  },
  'gpu.none_free': {
    status: 503,
    text: 'the GPUs of this host have no share left for a container ({size} in all); end a container, raise CONTAINERS_PER_GPU, or leave the GPU out',
  },
} as const;
