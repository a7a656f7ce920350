/**
 * The table of every error that this service reports. The rows of a large subject have a file of their own. The table
 * is on the lowest floor because every room throws errors from it; only `httpserver/` reads the statuses.
 *
 * `status` is the HTTP status of the `/v1` API (RFC 9457). `wire` is the status of the predecessor's three calls, where
 * it is not 406, which means "the handler refused" to their callers. `text` says what went wrong and what to do next.
 */

import { AGENT_ERRORS } from './agent-errors.ts';
import { ALLOW_ERRORS } from './allow-errors.ts';
import { COMMAND_ERRORS } from './command-errors.ts';
import { CONFIG_ERRORS } from './config-errors.ts';
import { CONFINEMENT_ERRORS } from './confinement-errors.ts';
import { CONSOLE_ERRORS } from './console-errors.ts';
import { GPU_ERRORS } from './gpu-errors.ts';
import { IMAGE_ERRORS } from './image-errors.ts';
import { LOG_ERRORS } from './log-errors.ts';
import { NETWORK_ERRORS } from './network-errors.ts';
import { NODE_ERRORS } from './node-errors.ts';
import { POOL_ERRORS } from './pool-errors.ts';
import { RIGHTS_ERRORS } from './rights-errors.ts';
import { SESSION_ERRORS } from './session-errors.ts';
import { START_ERRORS } from './start-errors.ts';
import { TERMINAL_ERRORS } from './terminal-errors.ts';

export interface ErrorRow {
  readonly status: number;
  readonly wire?: number;
  readonly text: string;
}

export const ERRORS = {
  // Requests that the service does not understand.
  'request.wrong_method': {
    status: 405,
    wire: 400,
    text: 'Bad request type. Expected {expected}, got {got}',
  },
  'request.no_host': {
    status: 400,
    wire: 400,
    text: 'an HTTP/1.1 request needs a Host header; send one',
  },
  'request.malformed': { status: 400, wire: 400, text: 'the request body is not valid: {why}' },
  'request.invalid': { status: 400, text: 'the {part} of the request is not valid: {why}' },
  'request.no_operator': {
    status: 401,
    text: 'the operator\'s token is missing or wrong; send the value of OPERATOR_TOKEN as "Authorization: Bearer TOKEN", or use the unix socket',
  },
  'request.looks_only': {
    status: 403,
    text: 'VIEWER_TOKEN gives read access only, and this call changes something; send the value of OPERATOR_TOKEN instead, or use the unix socket',
  },
  'request.too_many_attempts': {
    status: 429,
    text: 'too many wrong tokens came from this address; the right one is still accepted',
  },
  'request.too_large': {
    status: 413,
    wire: 413,
    text: 'the request body is larger than {limit} bytes; send a smaller one',
  },
  'request.unauthorized': {
    status: 401,
    wire: 401,
    text: 'the secret is missing or wrong; send the secret that this host is configured with',
  },
  'request.not_found': { status: 404, wire: 404, text: 'there is nothing at this path' },
  internal: {
    status: 500,
    text: 'the service failed while it handled this request; see its log for the cause',
  },

  // The state of the service.
  'service.starting': { status: 503, wire: 503, text: 'the host is still starting; try again in a moment' },
  'service.stopping': { status: 503, wire: 503, text: 'the host is stopping; use another host' },
  'service.draining': {
    status: 503,
    wire: 503,
    text: 'the host is draining: it accepts no new containers and stops when its last one has ended; use another host',
  },

  'host.filesystem': {
    status: 507,
    text: '{path} cannot be written: {why}; free some space (df -h, df -i) or make it writable, then try again',
  },

  'ledger.not_written': {
    status: 507,
    text: 'the ledger cannot be written in {directory}: {why}; free some space there (df -h, df -i), then try again',
  },

  'ledger.newer': {
    status: 500,
    text: 'a newer version of this service wrote the ledger in {directory} (format {version}); start that version, or restart the host, which ends its containers',
  },

  // Setting up a container.
  'container.unknown_port': {
    status: 404,
    text: 'no running container has the identifying host port {port}; it may have ended, or may not have started yet',
  },
  'container.unknown': {
    status: 404,
    text: 'no container of this host has an id that begins with {name}; "ecs-host-service ps" lists them',
  },
  'container.ambiguous': {
    status: 409,
    text: 'more than one container has an id that begins with {name}; give more of its digits',
  },
  'container.not_running': {
    status: 409,
    text: 'container {id} is not running; "GET /v1/containers/{id}" shows its state',
  },
  'container.no_receipt': {
    status: 404,
    text: 'there is no receipt of a container whose id begins with {name}; only the receipts of the last thousand containers are kept',
  },
  'container.other_start_values': {
    status: 409,
    text: 'the container at port {port} is already assigned with other start values, which cannot be changed; use another container',
  },
  'container.no_client_secret': {
    status: 422,
    text: 'client_app_auth_secret is empty, so no client app could authenticate; send a random secret',
  },
  'container.empty_token': {
    status: 422,
    text: 'config_encryption_token is empty; send at least one byte',
  },
  'container.token_mismatch': {
    status: 403,
    text: 'user_id or client_app_auth_secret does not match what the webserver sent for the container at port {port}; the container still waits, so send the right values',
  },
  'container.too_many_tokens': {
    status: 429,
    text: 'the container at port {port} already has the maximum number of unconfirmed tokens; try again after the webserver has sent its start values',
  },
  'container.too_many_attempts': {
    status: 429,
    text: 'too many wrong attempts came from this address; a right one is still accepted',
  },
  'container.ended': { status: 409, text: 'container {id} has ended; make a new one' },
  'container.restart': {
    status: 409,
    text: 'container {id} cannot be restarted: its devices and ports end with it; make a new one',
  },
  'container.bad_transition': { status: 500, text: 'container {id} cannot go from {from} to {to} ({cause})' },

  // Creating a container.
  'create.bad_body': { status: 422, text: 'the create body is not valid: {why}' },
  'create.no_identifying_port': {
    status: 422,
    text: 'an interactive container must publish 32262/tcp, which identifies it; add 32262/tcp to the port bindings',
  },
  'create.no_network': {
    status: 422,
    text: 'an interactive container cannot be reached in the network mode "{mode}"; use a bridge network, or that of a container which publishes 32262/tcp',
  },
  'create.bad_image_name': {
    status: 422,
    text: 'app_image and app_name must not be empty; send both, for example "fractal/base:current-build" and "base"',
  },
  'create.bad_mount': { status: 422, text: 'mount_command is not valid: {why}' },
  'create.bad_target': {
    status: 422,
    text: 'nothing can be mounted at {target}, because the service mounts its own files there or below; choose another target',
  },
  'create.refused': {
    status: 422,
    text: 'Docker refuses to create this container: {why}; correct what Docker names',
  },
  'port.reserved': {
    status: 409,
    text: 'host port {port} is reserved (by RESERVED_PORTS, LISTEN_PORT, or for the ECS agent); choose another one',
  },
  'port.of_node': {
    status: 409,
    text: 'host port {port}/{protocol} belongs to a managed node of this host, even while the node does not run; choose another one ("ecs-host-service nodes list" names the nodes)',
  },
  'create.other_request': {
    status: 422,
    text: 'this Idempotency-Key was already used for another request; use a new key for each container',
  },
  'create.bad_timeout': {
    status: 422,
    text: 'protocol_timeout must be a number of seconds, or -1 for no time-out; got {got}',
  },
  'create.ended_at_once': {
    status: 502,
    text: 'the container exited right after its start ({why}); run its image by hand to see why',
  },
  ...GPU_ERRORS,
  ...IMAGE_ERRORS,
  ...CONSOLE_ERRORS,
  ...POOL_ERRORS,
  ...RIGHTS_ERRORS,
  ...SESSION_ERRORS,
  'input.failed': {
    status: 503,
    text: 'the {what} of a container cannot be created: {why}; check that /dev/uinput exists and that udev runs ("systemctl status systemd-udevd")',
  },
  'port.none_free': {
    status: 503,
    text: 'no {protocol} port is free for a container: {why}; end a container, or leave more ports to containers (net.ipv4.ip_local_port_range, RESERVED_PORTS)',
  },
  'port.in_use': {
    status: 409,
    text: 'host port {port}/{protocol} is held by another container; choose another one, or leave it out to get a free one',
  },
  'port.of_scripts': {
    status: 409,
    text: 'host port {port} is in use, and a spin-up always uses this port, so that its caller knows where to find the container; end the container or program that has the port ("ecs-host-service ps", or ss -ltnp "sport = :{port}"), or create more containers with POST /v1/containers ("ecs-host-service create")',
  },
  'port.taken': {
    status: 503,
    text: 'another program took host port {port} while the container was starting; try again',
  },
  'docker.failed': { status: 502, text: 'Docker could not {what}: {why}' },
  'docker.unavailable': {
    status: 503,
    text: 'Docker does not answer at {socket} ({why}); start Docker, or check its log',
  },

  'docker.silent': {
    status: 503,
    text: 'the service receives no events from Docker ({why}); check that Docker runs',
  },

  // Services beyond this host.
  'metadata.unavailable': {
    status: 503,
    text: 'the service cannot read EC2 metadata from {endpoint}: {why}; check that the metadata service is enabled for this instance',
  },
  'webserver.failed': {
    status: 502,
    text: "the webserver did not accept the {what} of this host: {why}; check WEBSERVER_URL and the webserver's log",
  },
  'hook.failed': {
    status: 502,
    text: 'Auto Scaling did not {what}: {why}; check that TERMINATION_HOOK names a hook of the group of this instance, and that its role allows {action} and autoscaling:DescribeAutoScalingInstances',
  },
  'instance.failed': {
    status: 502,
    text: 'EC2 did not {what}: {why}; check that this host can reach EC2, and that the role of this instance allows {action}',
  },

  ...START_ERRORS,
  ...AGENT_ERRORS,
  ...ALLOW_ERRORS,
  ...COMMAND_ERRORS,
  ...CONFINEMENT_ERRORS,
  ...CONFIG_ERRORS,
  ...LOG_ERRORS,
  ...NETWORK_ERRORS,
  ...NODE_ERRORS,
  ...TERMINAL_ERRORS,
  'still.there': { status: 500, text: '{what} is still there: {why}' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

type Placeholders<T extends string> = T extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;

/** The placeholders of a code's template. */
export type Parameters<C extends ErrorCode> = Words<Placeholders<(typeof ERRORS)[C]['text']>>;

type Words<Names extends string> = [Names] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [Name in Names]: string | number };
