/**
 * Everything that this service refuses or fails at, on one page. It stands on the lowest floor because
 * every room throws from it; only `httpserver/` reads the statuses.
 *
 * `status` is what the `/v1` form answers (RFC 9457). `wire` is what the predecessor's three calls answer, where it is
 * not the 406 that their callers know as "the handler refused". `text` says what went wrong and what to do about it.
 */

import { AGENT_ERRORS } from './agent-errors.ts';
import { ALLOW_ERRORS } from './allow-errors.ts';
import { COMMAND_ERRORS } from './command-errors.ts';
import { CONFIG_ERRORS } from './config-errors.ts';
import { CONFINEMENT_ERRORS } from './confinement-errors.ts';
import { CONSOLE_ERRORS } from './console-errors.ts';
import { IMAGE_ERRORS } from './image-errors.ts';
import { LOG_ERRORS } from './log-errors.ts';
import { NETWORK_ERRORS } from './network-errors.ts';
import { RIGHTS_ERRORS } from './rights-errors.ts';
import { TERMINAL_ERRORS } from './terminal-errors.ts';

export interface ErrorRow {
  readonly status: number;
  readonly wire?: number;
  readonly text: string;
}

export const ERRORS = {
  // A request that is not understood.
  'request.wrong_method': {
    status: 405,
    wire: 400,
    text: 'Bad request type. Expected {expected}, got {got}',
  },
  'request.no_host': {
    status: 400,
    wire: 400,
    text: 'a request of HTTP/1.1 needs a Host header; send one',
  },
  'request.malformed': { status: 400, wire: 400, text: 'the request body cannot be used: {why}' },
  'request.invalid': { status: 400, text: 'the {part} of the request is refused: {why}' },
  'request.no_operator': {
    status: 401,
    text: 'the operator\'s token is missing or wrong; send the one of OPERATOR_TOKEN as "Authorization: Bearer TOKEN", or use the unix socket',
  },
  'request.too_many_attempts': {
    status: 429,
    text: 'too many wrong tokens came from this address; the right one is still accepted',
  },
  'request.too_large': {
    status: 413,
    wire: 413,
    text: 'the request body is larger than {limit} bytes; send less',
  },
  'request.unauthorized': {
    status: 401,
    wire: 401,
    text: 'the secret is missing or wrong; send the one that this host was configured with',
  },
  'request.not_found': { status: 404, wire: 404, text: 'there is nothing at this path' },
  internal: { status: 500, text: 'the service failed at this request; its log has the cause' },

  // The state of the service.
  'service.starting': { status: 503, wire: 503, text: 'the host is still starting; try again in a moment' },
  'service.stopping': { status: 503, wire: 503, text: 'the host is stopping; ask for another one' },
  'service.draining': {
    status: 503,
    wire: 503,
    text: 'the host takes no new containers and stops when its last one has ended; ask for another one',
  },

  'host.filesystem': {
    status: 507,
    text: '{path} cannot be written: {why}; make room there (df -h, df -i) or make it writable, then try again',
  },

  'ledger.not_written': {
    status: 507,
    text: 'what is held cannot be written down in {directory}: {why}; make room there (df -h, df -i), then try again',
  },

  // Setting up a container.
  'container.unknown_port': {
    status: 404,
    text: 'no running container has the identifying host port {port}; it may have ended, or not started yet',
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
    text: 'container {id} does not run yet, or not any more; "GET /v1/containers/{id}" says what it has come to',
  },
  'container.no_receipt': {
    status: 404,
    text: 'there is no receipt of a container whose id begins with {name}; those of the last thousand are kept',
  },
  'container.other_start_values': {
    status: 409,
    text: 'the container at port {port} is already assigned with other start values; they are fixed for its life',
  },
  'container.no_client_secret': {
    status: 422,
    text: 'client_app_auth_secret is empty, so that no client app could ever prove itself; send a random one',
  },
  'container.empty_token': {
    status: 422,
    text: 'config_encryption_token is empty; send at least one byte',
  },
  'container.token_mismatch': {
    status: 403,
    text: 'user_id or client_app_auth_secret is not the one that the webserver gave for the container at port {port}; the container waits for the right one',
  },
  'container.too_many_tokens': {
    status: 429,
    text: 'the container at port {port} already keeps as many unconfirmed tokens as it may; try again after its start values have come',
  },
  'container.too_many_attempts': {
    status: 429,
    text: 'too many wrong attempts from this address; a right one is still accepted',
  },
  'container.ended': { status: 409, text: 'container {id} has ended; make a new one' },
  'container.restart': {
    status: 409,
    text: 'container {id} cannot be restarted: its devices and ports end with it; make a new one',
  },
  'container.bad_transition': { status: 500, text: 'container {id} cannot go from {from} to {to} ({cause})' },

  // Creating a container.
  'create.bad_body': { status: 422, text: 'the create body cannot be used: {why}' },
  'create.no_identifying_port': {
    status: 422,
    text: 'an interactive container must publish 32262/tcp, by which it is identified; add it to the port bindings',
  },
  'create.no_network': {
    status: 422,
    text: 'an interactive container cannot be reached in the network mode "{mode}"; use a bridge network, or that of a container which publishes 32262/tcp',
  },
  'create.bad_image_name': {
    status: 422,
    text: 'app_image and app_name must not be empty; send both, for example "fractal/base:current-build" and "base"',
  },
  'create.bad_mount': { status: 422, text: 'mount_command is refused: {why}' },
  'create.bad_target': {
    status: 422,
    text: 'nothing can be mounted at {target} in a container: what it has of its own is there, or below; choose another place',
  },
  'create.refused': { status: 422, text: 'Docker refuses this container: {why}; mend what it names' },
  'port.reserved': {
    status: 409,
    text: 'host port {port} is one that no container gets (RESERVED_PORTS, LISTEN_PORT, and those of the ECS agent); choose another one',
  },
  'create.no_gpu': {
    status: 409,
    text: "Docker has no nvidia runtime here; leave the GPU out, use another host, or install NVIDIA's container toolkit",
  },
  'create.other_request': {
    status: 422,
    text: 'the same Idempotency-Key came with another request before; use a new key for each container',
  },
  'create.bad_timeout': {
    status: 422,
    text: 'protocol_timeout must be a number of seconds, or -1 for none; got {got}',
  },
  'create.ended_at_once': {
    status: 502,
    text: 'the container ended as soon as it was started ({why}); run its image by hand to see why',
  },
  ...IMAGE_ERRORS,
  ...CONSOLE_ERRORS,
  ...RIGHTS_ERRORS,
  'input.failed': {
    status: 503,
    text: 'the {what} of a container cannot be made: {why}; see that /dev/uinput is there and udev runs ("systemctl status systemd-udevd")',
  },
  'port.none_free': {
    status: 503,
    text: 'no {protocol} port is free for a container: {why}; end a container or widen the range (net.ipv4.ip_local_port_range takes ports away)',
  },
  'port.in_use': {
    status: 409,
    text: 'host port {port}/{protocol} is held by another container; choose another one, or leave it out to be given one',
  },
  'port.of_scripts': {
    status: 409,
    text: 'host port {port} is taken, and whoever spins a container up sets up what has it; end that ("ecs-host-service ps", or ss -ltnp "sport = :{port}"), or make more containers by POST /v1/containers ("ecs-host-service create")',
  },
  'port.taken': {
    status: 503,
    text: 'another program took host port {port} while the container was starting; try again',
  },
  'docker.failed': { status: 502, text: 'Docker could not {what}: {why}' },
  'docker.unavailable': {
    status: 503,
    text: 'Docker does not answer at {socket} ({why}); start it, or see its log',
  },

  'docker.silent': { status: 503, text: 'Docker is not heard ({why}); see that it runs' },

  // What lies beyond this host.
  'metadata.unavailable': {
    status: 503,
    text: 'EC2 metadata does not come from {endpoint}: {why}; see that the instance has it switched on',
  },
  'webserver.failed': {
    status: 502,
    text: 'the webserver did not take the {what} of this host: {why}; see WEBSERVER_URL and its log',
  },
  'instance.failed': {
    status: 502,
    text: 'EC2 did not {what}: {why}; see that it can be reached, and that the role of this instance allows {action}',
  },

  // Starting the service.
  'start.not_root': {
    status: 500,
    text: 'the service must run as root, for Docker, consoles and devices; start it with sudo',
  },
  'start.settings': { status: 500, text: 'these settings cannot be used:\n{problems}' },
  'service.died': { status: 500, text: 'the service died: {cause}' },
  'bury.no_wait': {
    status: 500,
    text: 'the unit {unit}, which waits until claimed containers have ended, cannot be started; install it, then run "systemctl start {unit}"',
  },
  'start.locked': {
    status: 500,
    text: 'another copy of the service{owner} runs on {root}; stop it first, or give this one its own ROOT',
  },
  'start.filesystem': {
    status: 500,
    text: 'cannot prepare {path}: {why}; make it a directory that root can write',
  },
  'start.listen': {
    status: 500,
    text: 'cannot listen on {address}:{port}: {why}; stop what listens there (ss -ltnp "sport = :{port}") or set LISTEN_PORT',
  },
  'start.certificate': {
    status: 500,
    text: 'the TLS certificate cannot be used: {why}; see TLS_CERT_FILE and TLS_KEY_FILE',
  },
  'start.no_input_devices': {
    status: 500,
    text: 'containers cannot get input devices here: {why}; to host containers without them, set INPUT_DEVICES=optional',
  },
  'start.no_config_tools': {
    status: 500,
    text: "users' files cannot be packed and unpacked here: {why}; it takes Linux 5.10, util-linux, tar, zstd and lz4 (apt-get install zstd lz4), or USER_CONFIG_BUCKET=none",
  },
  ...AGENT_ERRORS,
  ...ALLOW_ERRORS,
  ...COMMAND_ERRORS,
  ...CONFINEMENT_ERRORS,
  ...CONFIG_ERRORS,
  ...LOG_ERRORS,
  ...NETWORK_ERRORS,
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
