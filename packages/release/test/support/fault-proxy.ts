/**
 * A proxy in front of ministack that behaves worse: it throttles, fails, breaks connections after the work was done,
 * answers with old data, returns short pages, and changes answers. It counts the calls.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pageOf } from './pages.ts';

export type Break = 'throttle' | 'fail' | 'refuse' | 'reset' | 'stale' | undefined;

type Json = Readonly<Record<string, unknown>>;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly content: Buffer;
}

const JSON_TYPE = { 'content-type': 'application/x-amz-json-1.1' };

export class FaultProxy implements AsyncDisposable {
  readonly calls = new Map<string, number>();
  readonly broken = new Map<Break, number>();
  readonly url: string;
  /** Decides by the action, such as `UpdateService`. */
  decide: (action: string) => Break = () => undefined;
  /** Answers an action instead of AWS. */
  instead: (action: string, request: Json) => Promise<Json | undefined> = async () => undefined;
  /** Changes AWS's answer to an action. */
  reshape: (action: string, answer: Json) => Json = (_, answer) => answer;
  /** The number of entries on a page. */
  pageSize: number | undefined;
  /** The lists that had more than one page. */
  readonly cut = new Set<string>();
  readonly #server: Server;
  readonly #target: string;
  readonly #last = new Map<string, Answer>();

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(target: string): Promise<FaultProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultProxy(server, target);
    server.on('request', (given, response) => {
      proxy.#pass(given, response).catch(() => response.destroy());
    });
    return proxy;
  }

  get total(): number {
    return [...this.calls.values()].reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #pass(given: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await given.toArray());
    const action = actionOf(given);
    this.calls.set(action, (this.calls.get(action) ?? 0) + 1);
    const what = this.decide(action);
    if (what) this.broken.set(what, (this.broken.get(what) ?? 0) + 1);
    if (what === 'refuse') return void given.socket.destroy();
    if (what === 'throttle') return failed(response, 400, 'ThrottlingException', 'Rate exceeded');
    if (what === 'fail') return failed(response, 503, 'ServiceUnavailable', 'Try again');
    const key = `${action} ${given.url} ${body.toString()}`;
    const known = this.#last.get(key);
    const answer = what === 'stale' && known ? known : await this.#ask(action, given, body);
    this.#last.set(key, answer);
    const { status, headers, content } = answer;
    if (what !== 'reset') return void response.writeHead(status, headers).end(content);
    response
      .writeHead(status, { ...headers, 'content-length': content.length + 1 })
      .write(content.subarray(0, 10));
    setTimeout(() => given.socket.destroy(), 5);
  }

  /** Returns AWS's answer, in short pages and with the changes of the test. */
  async #ask(action: string, given: IncomingMessage, body: Buffer): Promise<Answer> {
    const { pathname, searchParams } = new URL(given.url ?? '/', this.#target);
    const isGet = body.length === 0;
    if (action.endsWith('S3')) {
      if (this.pageSize !== undefined && searchParams.has('list-type'))
        searchParams.set('max-keys', String(this.pageSize));
      const answer = await this.#forward(given, `${pathname}?${searchParams.toString()}`, body);
      if (answer.content.includes('<IsTruncated>true')) this.cut.add('ListObjectsV2');
      return answer;
    }
    const asked = isGet ? Object.fromEntries(searchParams) : JSON.parse(body.toString());
    const own = await this.instead(action, asked);
    if (own) return { status: 200, headers: JSON_TYPE, content: Buffer.from(JSON.stringify(own)) };
    const page = this.pageSize === undefined ? undefined : pageOf(action, asked, this.pageSize);
    const wanted = page?.request ?? asked;
    const query = isGet ? `?${new URLSearchParams(wanted).toString()}` : '';
    const sent = isGet ? body : Buffer.from(JSON.stringify(wanted));
    const answer = await this.#forward(given, `${pathname}${query}`, sent);
    if (answer.status !== 200) return answer;
    const whole = JSON.parse(answer.content.toString() || '{}');
    const shaped = this.reshape(action, page?.cut(whole) ?? whole);
    if (page && (shaped.nextToken ?? shaped.NextToken) !== undefined) this.cut.add(action);
    const content = Buffer.from(JSON.stringify(shaped));
    return { ...answer, content, headers: { ...answer.headers, 'content-length': String(content.length) } };
  }

  async #forward(given: IncomingMessage, path: string, body: Buffer): Promise<Answer> {
    const headers = { ...given.headers, 'content-length': String(body.length) };
    const passed = request(new URL(path, this.#target), { method: given.method ?? 'GET', headers });
    passed.end(body);
    const [result] = (await once(passed, 'response')) as [IncomingMessage];
    return {
      status: result.statusCode ?? 500,
      headers: result.headers,
      content: Buffer.concat(await result.toArray()),
    };
  }
}

/** The action of a request. For S3 and Scheduler, it follows from the path. */
function actionOf({ headers, method, url = '/' }: IncomingMessage): string {
  const [path] = url.split('?');
  if (method === 'GET' && path === '/schedules') return 'ListSchedules';
  if (method === 'GET' && path === '/schedule-groups') return 'ListScheduleGroups';
  return String(headers['x-amz-target'] ?? '').split('.')[1] ?? `${method} S3`;
}

function failed(response: ServerResponse, status: number, type: string, message: string): void {
  const content = JSON.stringify({ __type: type, message });
  response.writeHead(status, { ...JSON_TYPE, 'x-amzn-errortype': type }).end(content);
}
