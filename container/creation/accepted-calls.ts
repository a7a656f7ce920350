/**
 * The allow-list of a hosted container's requests to Docker: each field of the bodies of Docker's calls, with the
 * accepted values. Everything else is refused. docs/security.md shows the same table.
 */

import {
  anyForm,
  anyText,
  command,
  type Fields,
  flag,
  isAllowed,
  isEmpty,
  list,
  mapOf,
  number,
  object,
  type Rule,
  refusal,
  texts,
} from './accepted-fields.ts';
import { HOST_CONFIG, limits, network, restartPolicy } from './accepted-host-config.ts';
import { volumes } from './accepted-mounts.ts';

const healthcheck = object(
  {
    Interval: number(0),
    Retries: number(0),
    StartInterval: number(0),
    StartPeriod: number(0),
    Test: texts,
    Timeout: number(0),
  },
  'any',
);

export const CREATE: Fields = {
  ArgsEscaped: flag,
  AttachStderr: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  Cmd: command,
  Domainname: anyText,
  Entrypoint: command,
  Env: texts,
  ExposedPorts: mapOf(object({}), 'any', /^\d+(-\d+)?(\/(tcp|udp|sctp))?$/),
  Healthcheck: healthcheck,
  HostConfig: object(HOST_CONFIG),
  Hostname: anyText,
  Image: anyText,
  Labels: mapOf(anyText, 'any'),
  NetworkingConfig: object({
    EndpointsConfig: mapOf(network, 'user-defined networks, with aliases, links and addresses'),
  }),
  OpenStdin: flag,
  Shell: command,
  StdinOnce: flag,
  StopSignal: anyText,
  StopTimeout: number(-1),
  Tty: flag,
  User: anyText,
  Volumes: volumes,
  WorkingDir: anyText,
};

export const createRule: Rule = object(CREATE);

export const updateRule: Rule = object({
  ...limits,
  PidsLimit: number(1),
  RestartPolicy: restartPolicy,
});

const execPrivileged = anyForm('false; `Exec=privileged`', (value, at, asker) => {
  if (isEmpty(value) || isAllowed(asker, 'Exec', 'privileged')) return value;
  throw refusal(at, value, 'Exec=privileged');
});

export const execRule: Rule = object({
  AttachStderr: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  Cmd: command,
  ConsoleSize: list(number(0)),
  Detach: flag,
  DetachKeys: anyText,
  Env: texts,
  Privileged: execPrivileged,
  Tty: flag,
  User: anyText,
  WorkingDir: anyText,
});

export const connectRule: Rule = object({ Container: anyText, EndpointConfig: network });
