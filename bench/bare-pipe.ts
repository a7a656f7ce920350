/**
 * What the Docker API proxy is compared with: a process that listens on the unix socket that is its first argument, and
 * pipes every connection to the one that is its second, without looking at what comes.
 */

import { createConnection, createServer } from 'node:net';

const [path = '', target = ''] = process.argv.slice(2);

const server = createServer({ allowHalfOpen: true }, (client) => {
  const engine = createConnection({ path: target, allowHalfOpen: true });
  client.on('error', () => engine.destroy());
  engine.on('error', () => client.destroy());
  client.pipe(engine).pipe(client);
});
server.listen(path, () => process.send?.('listening'));
