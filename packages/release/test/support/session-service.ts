/**
 * Simulates Systems Manager and ECS as far as sessions need them: the calls that return a ticket, and the data
 * channel's WebSocket, with an agent behind it. The network between them can lose, duplicate and delay messages, and
 * cut the connection.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ECSClient } from '@aws-sdk/client-ecs';
import { KMSClient } from '@aws-sdk/client-kms';
import { SSMClient } from '@aws-sdk/client-ssm';
import { type WebSocket, WebSocketServer } from 'ws';
import { type AgentOptions, SessionAgent, terminalProgram } from './session-agent.ts';

/** The delays in milliseconds after which a message arrives, one for each arrival. */
export type Fate = readonly number[];

interface Session {
  readonly agent: SessionAgent;
  socket: WebSocket | undefined;
  hasBegun: boolean;
}

type Call = Readonly<Record<string, unknown>>;
type AgentChoice = Omit<AgentOptions, 'transmit'>;

const KEY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'test' };

export class SessionService implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #sessions = new Map<string, Session>();
  readonly ecs: ECSClient;
  readonly ssm: SSMClient;
  readonly kms: KMSClient;
  /** The data key that KMS returns. */
  readonly key = randomBytes(64);
  /** Every call, in order. */
  readonly calls: { action: string; body: Call }[] = [];
  /** The headers of the requests for WebSockets. */
  readonly requests: IncomingMessage['headers'][] = [];
  /** The contents of the first message of each socket. */
  readonly opened: Call[] = [];
  tasks: readonly object[] = [];
  /**
   * Returns the agent of a session; by default a terminal with the command, or the document that StartSession names.
   */
  agent: (call: Call) => AgentChoice = (call) => ({
    sessionType: 'InteractiveCommands',
    start: terminalProgram(String(call.command)),
  });
  fate: (isToAgent: boolean) => Fate = () => [0];
  /** Returns an HTTP status to answer with instead of a WebSocket. */
  refuse: (headers: IncomingMessage['headers']) => number | undefined = () => undefined;
  /** Sees every message of a session, in both directions. */
  observe: (bytes: Buffer) => void = () => {};
  /** Returns the AWS error to answer an action with. */
  fail: (action: string) => string | undefined = () => undefined;

  private constructor(server: Server) {
    this.#server = server;
    const options = { endpoint: this.url, region: 'us-east-1', credentials: KEY, maxAttempts: 1 };
    this.ecs = new ECSClient(options);
    this.ssm = new SSMClient(options);
    this.kms = new KMSClient(options);
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
      const body = JSON.parse((await request.toArray()).join('') || '{}');
      const action = String(request.headers['x-amz-target']).split('.').at(-1) ?? '';
      this.calls.push({ action, body });
      const failure = this.fail(action);
      response.writeHead(failure ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(
        JSON.stringify(
          failure ? { __type: failure, message: 'as the test wants' } : this.answer(action, body),
        ),
      );
    };
    server.on('request', (request, response) => void answer(request, response));
    server.on('upgrade', (request, socket, head) => {
      this.requests.push(request.headers);
      const status = this.refuse(request.headers);
      if (status !== undefined) {
        socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (one) =>
        this.#accept(one, String(request.url).slice(1)),
      );
    });
  }

  static async start(): Promise<SessionService> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SessionService(server);
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    return `http://127.0.0.1:${port}`;
  }

  get agents(): SessionAgent[] {
    return [...this.#sessions.values()].map(({ agent }) => agent);
  }

  /** Cuts every connection without a close message. */
  cut(): void {
    for (const { socket } of this.#sessions.values()) socket?.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { agent, socket } of this.#sessions.values()) {
      agent.stop();
      socket?.terminate();
    }
    this.ecs.destroy();
    this.ssm.destroy();
    this.kms.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** This service's answer to an action. */
  answer(action: string, body: Call): object {
    switch (action) {
      case 'ListTasks':
        return { taskArns: this.tasks.map((task) => (task as { taskArn: string }).taskArn) };
      case 'DescribeTasks':
        return { tasks: this.tasks };
      case 'ExecuteCommand': {
        const sessionId = this.#begin(body);
        return {
          session: { sessionId, streamUrl: this.#streamUrl(sessionId), tokenValue: `token of ${sessionId}` },
        };
      }
      case 'GenerateDataKey': {
        const CiphertextBlob = Buffer.from('ciphertext').toString('base64');
        return { KeyId: body.KeyId, Plaintext: this.key.toString('base64'), CiphertextBlob };
      }
      case 'StartSession': {
        const SessionId = this.#begin(body);
        return { SessionId, StreamUrl: this.#streamUrl(SessionId), TokenValue: `token of ${SessionId}` };
      }
      case 'ResumeSession': {
        const SessionId = String(body.SessionId);
        if (!this.#sessions.has(SessionId)) return { SessionId };
        return { SessionId, StreamUrl: this.#streamUrl(SessionId), TokenValue: `next token of ${SessionId}` };
      }
      case 'TerminateSession': {
        const session = this.#sessions.get(String(body.SessionId));
        session?.agent.stop();
        return { SessionId: body.SessionId };
      }
      default:
        return {};
    }
  }

  #streamUrl(id: string): string {
    return `${this.url.replace('http', 'ws')}/${id}`;
  }

  #begin(call: Call): string {
    const id = `session-${this.#sessions.size + 1}`;
    const session: Session = {
      hasBegun: false,
      socket: undefined,
      agent: new SessionAgent({
        ...this.agent(call),
        transmit: (bytes) => {
          this.observe(bytes);
          this.#carry(false, () => session.socket?.send(bytes));
        },
      }),
    };
    this.#sessions.set(id, session);
    return id;
  }

  #accept(socket: WebSocket, id: string): void {
    const session = this.#sessions.get(id);
    if (!session) {
      socket.close();
      return;
    }
    socket.once('message', (data) => {
      const request = JSON.parse((data as Buffer).toString());
      this.opened.push(request);
      if (!String(request.TokenValue).endsWith(`token of ${id}`)) {
        socket.close();
        return;
      }
      session.socket = socket;
      socket.on('message', (bytes) => {
        this.observe(bytes as Buffer);
        this.#carry(true, () => session.agent.receive(bytes as Buffer));
      });
      if (!session.hasBegun) session.agent.begin();
      session.hasBegun = true;
    });
  }

  #carry(isToAgent: boolean, arrive: () => void): void {
    for (const delay of this.fate(isToAgent))
      if (delay === 0) arrive();
      else setTimeout(arrive, delay);
  }
}
