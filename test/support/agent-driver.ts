/**
 * Calls Docker like the stock ECS agent: with its API versions, over many connections that stay open, with its labels, and with
 * its own choice of host ports. Source: the agent's `dockerapi` and `engine` packages, version 1.105.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { PLACEHOLDER } from '../../container/creation/create-body.ts';
import { IMAGE } from '../../scripts/image.ts';
import { until } from './site.ts';

/** The agent uses the lowest API version that both it and Docker support. */
export const VERSION = 'v1.21';
const LOWEST_MINOR = 17;
const VERSIONS = 28;

export const TASK = 'arn:aws:ecs:us-west-2:123456789012:task/test/5f1d6bd3a9c94a7e8b20c1d2e3f4a5b6';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly data: Buffer;
}

export interface Event {
  readonly status?: string;
  readonly id?: string;
  readonly Type: string;
  readonly Actor?: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly time?: number;
  readonly timeNano?: number;
}

/** An endless answer of Docker. */
export class Stream {
  readonly #answer: IncomingMessage;
  #text = '';
  #isOver = false;

  constructor(answer: IncomingMessage) {
    this.#answer = answer;
    answer.setEncoding('utf8');
    answer.on('data', (piece: string) => {
      this.#text += piece;
    });
    answer.on('error', () => {});
    answer.on('close', () => {
      this.#isOver = true;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The objects that have arrived. */
  get objects(): readonly unknown[] {
    return this.#text
      .split('\n')
      .slice(0, -1)
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  /** The events of a container, in order. */
  of(dockerId: string): string[] {
    const events = this.objects as readonly Event[];
    return events.filter(({ id }) => id === dockerId).map(({ status = '' }) => status);
  }

  close(): void {
    this.#answer.destroy();
  }
}

interface CallOptions {
  readonly body?: unknown;
  readonly agent?: Agent;
  readonly type?: string;
}

export class AgentDriver implements Disposable {
  readonly #socketPath: string;
  readonly #idle: Agent[] = [];
  readonly #ofVersion = new Map<number, Agent>();
  readonly #streams: Stream[] = [];
  readonly #own = this.#newAgent();

  /** @param socketPath the agent's DOCKER_HOST */
  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  #newAgent(): Agent {
    const agent = new Agent({ keepAlive: true });
    this.#idle.push(agent);
    return agent;
  }

  /** @param body an object is sent as JSON; a stream is sent in chunks */
  async open(method: string, path: string, { body, agent = this.#own, type }: CallOptions = {}) {
    const isStream = body instanceof Readable;
    const bytes = body === undefined || isStream ? undefined : JSON.stringify(body);
    const call = request({
      socketPath: this.#socketPath,
      method,
      path,
      agent,
      headers: {
        Host: 'api.moby.localhost',
        'User-Agent': 'engine-api-cli/1.0',
        ...(body !== undefined && { 'Content-Type': type ?? 'application/json' }),
        ...(bytes !== undefined && { 'Content-Length': Buffer.byteLength(bytes) }),
      },
    });
    if (isStream) body.pipe(call);
    else call.end(bytes);
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    return answer;
  }

  async ask(method: string, path: string, options?: CallOptions): Promise<Reply> {
    const answer = await this.open(method, path, options);
    return { status: answer.statusCode ?? 0, headers: answer.headers, data: await buffer(answer) };
  }

  /** Like `ask`, in the agent's API version. @returns the body of the answer, which must have this status */
  async call(status: number, method: string, path: string, body?: unknown) {
    const { status: got, data } = await this.ask(method, `/${VERSION}${path}`, { body });
    assert.equal(got, status, `${method} ${path}: ${data.toString()}`);
    // In this version, Docker's errors are plain text.
    return status < 400 && data.length > 0 ? JSON.parse(data.toString()) : undefined;
  }

  async stream(path: string): Promise<Stream> {
    const answer = await this.open('GET', `/${VERSION}${path}`, { agent: this.#newAgent() });
    assert.equal(answer.statusCode, 200);
    const stream = new Stream(answer);
    this.#streams.push(stream);
    return stream;
  }

  /** Tries each version that it knows, each over its own connection, which stays open. @returns those that Docker supports */
  async probe(): Promise<string[]> {
    const taken: string[] = [];
    for (let minor = LOWEST_MINOR; minor < LOWEST_MINOR + VERSIONS; minor++) {
      const agent = this.#ofVersion.get(minor) ?? this.#newAgent();
      this.#ofVersion.set(minor, agent);
      const { status } = await this.ask('GET', `/v1.${minor}/version`, { agent });
      if (status === 200) taken.push(`v1.${minor}`);
    }
    return taken;
  }

  /** What the agent does before it registers, with an image to load. @param tar an archive of an image */
  async start(tar: Readable): Promise<Stream> {
    assert.ok((await this.probe()).includes(VERSION));
    const ping = await this.ask('HEAD', '/_ping');
    assert.ok(ping.headers['api-version']);
    const load = await this.ask('POST', `/${VERSION}/images/load?quiet=0`, {
      body: tar,
      type: 'application/x-tar',
    });
    assert.equal(load.status, 200, load.data.toString());
    await this.call(
      200,
      'GET',
      `/plugins?filters=${encodeURIComponent('{"capability":{"volumedriver":true}}')}`,
    );
    await this.call(404, 'GET', '/images/amazon/amazon-ecs-pause:0.1.0/json');
    const events = await this.stream('/events');
    await this.call(200, 'GET', '/containers/json');
    await this.call(200, 'GET', '/version');
    return events;
  }

  /** @returns the docker id */
  async create(name: string, body: unknown): Promise<string> {
    const { Id } = await this.call(201, 'POST', `/containers/create?name=${name}`, body);
    await this.inspect(Id);
    return Id;
  }

  async begin(dockerId: string): Promise<void> {
    await this.call(204, 'POST', `/containers/${dockerId}/start`);
    await this.inspect(dockerId);
  }

  async inspect(ref: string) {
    return await this.call(200, 'GET', `/containers/${ref}/json`);
  }

  async stop(dockerId: string): Promise<void> {
    await this.call(204, 'POST', `/containers/${dockerId}/stop?t=30`);
    assert.equal((await this.inspect(dockerId)).State.Running, false);
  }

  async remove(dockerId: string): Promise<void> {
    await this.call(204, 'DELETE', `/containers/${dockerId}?v=1`);
  }

  /** ECS Exec: its program in a container is detached from the call. @returns the exit code */
  async exec(dockerId: string, Cmd: readonly string[]): Promise<number> {
    const { Id } = await this.call(201, 'POST', `/containers/${dockerId}/exec`, { Detach: true, Cmd });
    await this.call(200, 'POST', `/exec/${Id}/start`, { Detach: true });
    let found: { readonly Running: boolean; readonly ExitCode: number } | undefined;
    await until('the program of exec has exited', async () => {
      found = await this.call(200, 'GET', `/exec/${Id}/json`);
      return found?.Running === false;
    });
    return found?.ExitCode ?? -1;
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream.close();
    for (const agent of this.#idle) agent.destroy();
  }
}

type Ports = Readonly<Record<string, string>>;

/** The labels of a container in a task. */
export function labelsOf(name: string): Record<string, string> {
  const ecs = {
    cluster: 'test',
    'task-arn': TASK,
    'container-name': name,
    'task-definition-family': 'fractal-test-demo',
    'task-definition-version': '1',
  };
  return Object.fromEntries(Object.entries(ecs).map(([key, value]) => [`com.amazonaws.ecs.${key}`, value]));
}

/** The ports of the predecessor's task definition. If the task requests any host port, the agent chooses one. */
const PORTS: Ports = { '32262/tcp': '49153', '32263/udp': '49154', '32273/tcp': '49155' };

/** The mounts of the predecessor's task definition. @param root the directory below which this host has its directories */
function bindsBelow(root: string): string[] {
  return [
    `${root}/fractal/${PLACEHOLDER}/containerResourceMappings:/fractal/resourceMappings:ro`,
    `${root}/fractal/${PLACEHOLDER}/userConfigs/unpacked_configs:/fractal/userConfigs:rshared`,
    `${root}/fractalCloudStorage/${PLACEHOLDER}/:/fractal/cloudStorage:rshared`,
    `${root}/fractal/temp/${PLACEHOLDER}/sockets/:/tmp/sockets`,
    '/sys/fs/cgroup:/sys/fs/cgroup:ro',
  ];
}

/** The create body of a task's container, as the agent derives it from the task definition. */
export function taskBody(root: string, { ports = PORTS, image = IMAGE, host = {} } = {}) {
  return {
    Image: image,
    Env: ['SENTRY_ENV=test', 'ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/1'],
    ExposedPorts: Object.fromEntries(Object.keys(ports).map((port) => [port, {}])),
    Labels: labelsOf('fractal-container'),
    HostConfig: {
      Binds: bindsBelow(root),
      PortBindings: Object.fromEntries(
        Object.entries(ports).map(([port, HostPort]) => [port, [{ HostIp: '', HostPort }]]),
      ),
      CapDrop: ['ALL'],
      CapAdd: ['MKNOD', 'DAC_OVERRIDE'],
      Memory: 64 * 2 ** 20,
      Tmpfs: { '/run': 'size=50m', '/run/lock': 'size=50m' },
      NetworkMode: 'bridge',
      Devices: null,
      RestartPolicy: {},
      ...host,
    },
    NetworkingConfig: { EndpointsConfig: null },
  };
}
