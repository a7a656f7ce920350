/** A stand-in for Lambda: a runtime API on loopback, and a process that runs a function from its zip. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';

/** The time limit of an event, in milliseconds. */
const TIMEOUT = 60_000;

export interface Outcome {
  readonly kind: 'response' | 'error';
  readonly body: unknown;
}

export function unpack(zip: Uint8Array, directory: string): void {
  for (const [name, content] of Object.entries(unzipSync(zip))) {
    const file = join(directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

export interface FunctionOptions {
  /** The Node version that runs the function. */
  readonly node: string;
  readonly directory: string;
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Starts a function, passes it the events, and returns the result of each. */
export async function invoke(
  options: FunctionOptions,
  events: readonly unknown[],
): Promise<readonly Outcome[]> {
  const left = [...events];
  const outcomes: Outcome[] = [];
  const done = Promise.withResolvers<void>();
  const waiting: ServerResponse[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = Buffer.concat(await request.toArray()).toString();
    if (request.url?.endsWith('/next')) {
      const event = left.shift();
      // Lambda freezes an idle function here.
      if (event === undefined) return void waiting.push(response);
      response.setHeader('lambda-runtime-aws-request-id', String(outcomes.length));
      response.setHeader('lambda-runtime-deadline-ms', String(Date.now() + TIMEOUT));
      return void response.end(JSON.stringify(event));
    }
    outcomes.push({ kind: request.url?.endsWith('/error') ? 'error' : 'response', body: JSON.parse(body) });
    response.writeHead(202).end();
    if (outcomes.length === events.length) done.resolve();
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => done.reject(error));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const child = spawn(options.node, [join(import.meta.dirname, 'lambda-bootstrap.mjs')], {
    env: {
      ...options.environment,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      LAMBDA_TASK_ROOT: options.directory,
      FUNCTION_FILE: options.file,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  child.once('close', (code) => done.reject(new Error(`the function ended with code ${code}`)));
  try {
    await done.promise;
  } finally {
    child.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
  }
  return outcomes;
}
