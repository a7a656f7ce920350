/**
 * The fields that this service reads in the body of Docker's create call (`POST /containers/create`, Engine API 1.41).
 * `accepted-calls.ts` has the other fields.
 */

import { type Static, type TSchema, Type } from 'typebox';
import { ServiceError } from '../../errors/service-error.ts';
import { misfit } from '../../parsing/json.ts';
import { CONSOLE } from '../labels.ts';

/** The placeholder for the container id in the host paths of a body. */
export const PLACEHOLDER = '%%FRACTAL_ID_PLACEHOLDER%%';
/** The container port whose host port identifies the container to the webserver and the client app. */
export const IDENTIFYING_PORT = '32262/tcp';

/** Clients of Docker send null for unset fields. */
const maybe = <S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]));

const Mount = Type.Object({
  Type: Type.String(),
  Source: Type.Optional(Type.String()),
  Target: Type.String(),
  ReadOnly: Type.Optional(Type.Boolean()),
  BindOptions: maybe(Type.Record(Type.String(), Type.Unknown())),
});

const PortBinding = Type.Object({
  HostIp: Type.Optional(Type.String()),
  HostPort: Type.Optional(Type.String()),
});

const DeviceMapping = Type.Object({
  PathOnHost: Type.Optional(Type.String()),
  PathInContainer: maybe(Type.String()),
  CgroupPermissions: maybe(Type.String()),
});

const HostConfig = Type.Object({
  Binds: maybe(Type.Array(Type.String())),
  Mounts: maybe(Type.Array(Mount)),
  PortBindings: maybe(Type.Record(Type.String(), Type.Union([Type.Array(PortBinding), Type.Null()]))),
  Devices: maybe(Type.Array(DeviceMapping)),
  DeviceCgroupRules: maybe(Type.Array(Type.String())),
  RestartPolicy: maybe(Type.Object({ Name: Type.Optional(Type.String()) })),
  Privileged: Type.Optional(Type.Boolean()),
  SecurityOpt: maybe(Type.Array(Type.String())),
  NetworkMode: maybe(Type.String()),
  LogConfig: maybe(
    Type.Object({
      Type: Type.Optional(Type.String()),
      Config: maybe(Type.Record(Type.String(), Type.String())),
    }),
  ),
});

const Body = Type.Object({
  Image: Type.Optional(Type.String()),
  Labels: maybe(Type.Record(Type.String(), Type.String())),
  ExposedPorts: maybe(Type.Record(Type.String(), Type.Object({}))),
  HostConfig: maybe(HostConfig),
});

export type DeviceMapping = Static<typeof DeviceMapping>;
export type Mount = Static<typeof Mount>;
export type HostConfig = Static<typeof HostConfig> & { readonly [field: string]: unknown };
export type CreateBody = Omit<Static<typeof Body>, 'HostConfig'> & {
  HostConfig?: HostConfig | null;
  readonly [field: string]: unknown;
};

/** What a hosted container is given in addition to its body. */
export interface CreateOptions {
  /** Seconds that its program waits for its first client; -1: no limit; missing: the program decides. */
  readonly timeout?: number | undefined;
  /** Seconds that it may be idle; 0: no limit; missing: the host's default. */
  readonly idleTimeout?: number | undefined;
  /** The identifying host port that it must have; missing: any. */
  readonly identifyingPort?: number | undefined;
  /** The identifying host port of the container whose network it shares; missing: it has its own network. */
  readonly shared?: number | undefined;
  /** Mounts of the body that other rules of this service have accepted. */
  readonly granted?: readonly Mount[] | undefined;
}

/** @throws {ServiceError} `create.bad_body` when a field that is read here does not have Docker's form */
export function checkCreateBody(body: unknown): CreateBody {
  const why = misfit(Body, body);
  if (why !== undefined) throw new ServiceError('create.bad_body', { why });
  return body as CreateBody;
}

/** Whether the container gets a virtual console. It does unless its label says otherwise. */
export function wantsConsole({ Labels }: CreateBody): boolean {
  return Labels?.[CONSOLE] !== 'none';
}
