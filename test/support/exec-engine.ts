/** A Docker Engine that runs one program in a terminal, which the test plays. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Docker } from '../../docker-engine/docker.ts';

/** @param pid returns the pid of the program, each time that it is asked for; 0: it is not known yet */
export async function execEngine(
  t: TestContext,
  pid: () => number,
  connected: (program: Socket) => void,
): Promise<Docker> {
  const server = createServer((request, response) => {
    const { method, url = '' } = request;
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (url.includes('/version')) response.end('{"ApiVersion":"1.41","Version":"20.10"}');
    else if (method === 'POST' && url.includes('/containers/')) response.writeHead(201).end('{"Id":"e"}');
    else if (url.includes('/resize')) response.end();
    else response.end(JSON.stringify({ Running: true, ExitCode: null, Pid: pid() }));
  });
  server.on('upgrade', (_request, socket: Socket) => {
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    connected(socket);
  });
  const path = join(tmpdir(), randomUUID());
  await once(server.listen(path), 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return await Docker.open(path);
}
