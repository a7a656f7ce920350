/** The JSON Schemas of the calls about images. */

import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false };
const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description !== undefined && { description }) });

export const ImagePull = Type.Object(
  {
    image: Type.String({
      minLength: 1,
      description:
        'NAME[:TAG][@DIGEST], such as "registry.example.com/app:1.2". Without tag and digest, the tag is "latest".',
    }),
    platform: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]+(/[a-z0-9_]+(/[a-z0-9.]+)?)?$',
        description: 'For example "linux/arm64". The default is the platform of this host.',
      }),
    ),
    registryAuth: Type.Optional(
      Type.Object(
        { username: Type.String({ minLength: 1 }), password: Type.String({ minLength: 1 }) },
        { ...strict, description: 'Credentials for this pull only. The service does not store them.' },
      ),
    ),
  },
  { ...strict, title: 'ImagePull' },
);

const Layer = Type.Object({
  id: Type.String(),
  status: Type.String({ description: "The status in Docker's words." }),
  current: Type.Optional(count()),
  total: Type.Optional(count()),
});

export const PullProgress = Type.Object(
  {
    layers: Type.Array(Layer, {
      description: 'The layers, with the bytes that are downloaded or, later, unpacked.',
    }),
    bytes: Type.Object(
      { current: count(), total: count() },
      { description: 'Bytes of all layers: downloaded so far, and in total as far as that is known.' },
    ),
  },
  { title: 'PullProgress', description: 'The progress of a pull.' },
);

export const PulledImage = Type.Object(
  {
    image: Type.String(),
    digest: Type.String({ description: 'The digest of its manifest in the registry.' }),
    id: Type.String({ description: 'The id by which Docker knows it.' }),
    size: count('Its size on this host, in bytes.'),
  },
  { title: 'PulledImage', description: 'An image that is on this host.' },
);

export type ImagePull = Static<typeof ImagePull>;
