/**
 * The baseline: a fastify server with HTTPS only. Its one route writes the same files as the service does for start
 * values: for each new port, two complete files in the directory that is its first argument.
 */

import { randomUUID } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import fastify from 'fastify';

const [directory = '', port = '0'] = process.argv.slice(2);

const [cert, key] = await Promise.all([
  readFile(join(directory, 'cert.pem')),
  readFile(join(directory, 'key.pem')),
]);
const app = fastify({ https: { cert, key } });

async function write(name: string, content: string): Promise<void> {
  const draft = join(directory, `.${name}.${randomUUID()}`);
  await using file = await open(draft, 'wx', 0o644);
  await file.writeFile(content);
  await file.sync();
  await rename(draft, join(directory, name));
  await using folder = await open(directory, 'r');
  await folder.sync();
}

const seen = new Set<number>();

app.put('/set_container_start_values', async (request) => {
  const { host_port, dpi, container_ARN } = request.body as Record<'host_port' | 'dpi', number> & {
    container_ARN: string;
  };
  if (seen.has(host_port)) return { result: '' };
  seen.add(host_port);
  await write('DPI', String(dpi));
  await write('ContainerARN', container_ARN);
  return { result: '' };
});

await app.listen({ host: '127.0.0.1', port: Number(port) });
process.stdout.write('listening\n');
process.on('SIGTERM', () => void app.close());
