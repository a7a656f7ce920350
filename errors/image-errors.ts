/** Part of the table of errors: images. */

export const IMAGE_ERRORS = {
  'image.missing': {
    status: 404,
    text: 'image {image} is not on this host; run "ecs-host-service pull {image}", then try again',
  },
  'image.bad_reference': { status: 422, text: 'the name of the image cannot be used: {why}' },
  'image.not_found': {
    status: 404,
    text: 'the registry shows no image {image}: {why}; see its name, and that the credentials may read it',
  },
  'image.not_pulled': {
    status: 502,
    text: 'image {image} could not be pulled: {why}; see that this host reaches the registry, which may want credentials, and has room for it',
  },
} as const;
