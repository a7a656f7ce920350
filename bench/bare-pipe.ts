/**
 * The baseline for the Docker API proxy: a process that listens on the unix socket in its first argument, and pipes
 * every connection to the one in its second argument without looking at the data.
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
