/** Part of the table of errors: images. */

export const IMAGE_ERRORS = {
  'image.missing': {
    status: 404,
    text: 'image {image} is not on this host; run "ecs-host-service pull {image}", then try again',
  },
  'image.no_registry': {
    status: 422,
    text: "image {image} cannot be pulled: its name does not say which registry has it; put the registry's host in front of the name, or set DEFAULT_REGISTRY",
  },
  'image.too_slow': {
    status: 504,
    text: 'image {image} was not pulled within {seconds} seconds; run "ecs-host-service pull {image}", which has no time limit, then try again',
  },
  'image.no_credentials': {
    status: 502,
    text: 'there are no credentials for the registry {registry}: {why}; check REGISTRY_AUTH_FILE, or that the role of this host allows ecr:GetAuthorizationToken',
  },
  'image.bad_reference': { status: 422, text: 'the name of the image is not valid: {why}' },
  'image.not_found': {
    status: 404,
    text: 'the registry has no image {image}, or does not show it: {why}; check its name, and check that the credentials give access to it',
  },
  'image.not_pulled': {
    status: 502,
    text: 'image {image} could not be pulled: {why}; check that this host reaches the registry and has room for the image, and give credentials if the registry needs them',
  },
} as const;
