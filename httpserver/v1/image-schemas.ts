/** What is asked and told of images, as JSON Schema. */

import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false };
const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description !== undefined && { description }) });

export const ImagePull = Type.Object(
  {
    image: Type.String({
      minLength: 1,
      description:
        'NAME[:TAG][@DIGEST], such as "registry.example.com/app:1.2"; without both the tag "latest".',
    }),
    platform: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]+(/[a-z0-9_]+(/[a-z0-9.]+)?)?$',
        description: 'Such as "linux/arm64"; that of this host when left out.',
      }),
    ),
    registryAuth: Type.Optional(
      Type.Object(
        { username: Type.String({ minLength: 1 }), password: Type.String({ minLength: 1 }) },
        { ...strict, description: 'For this pull alone: nobody keeps it.' },
      ),
    ),
  },
  { ...strict, title: 'ImagePull' },
);

const Layer = Type.Object({
  id: Type.String(),
  status: Type.String({ description: "In Docker's words." }),
  current: Type.Optional(count()),
  total: Type.Optional(count()),
});

export const PullProgress = Type.Object(
  {
    layers: Type.Array(Layer, { description: 'With bytes that are downloaded or, later, unpacked.' }),
    bytes: Type.Object(
      { current: count(), total: count() },
      { description: 'Of all layers: downloaded, and to be downloaded as far as that is known.' },
    ),
  },
  { title: 'PullProgress', description: 'How far a pull is.' },
);

export const PulledImage = Type.Object(
  {
    image: Type.String(),
    digest: Type.String({ description: 'Of its manifest in the registry.' }),
    id: Type.String({ description: 'By which Docker knows it.' }),
    size: count('Bytes on this host.'),
  },
  { title: 'PulledImage', description: 'An image that is on this host.' },
);

export type ImagePull = Static<typeof ImagePull>;
