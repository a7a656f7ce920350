/** A bare fastify route on a unix socket that answers with the bytes of a file: `bare-list.ts SOCKET FILE`. */

import { readFileSync } from 'node:fs';
import { fastify } from 'fastify';

const [path = '', file = ''] = process.argv.slice(2);
const body = readFileSync(file, 'utf8');
const app = fastify();
app.get('/v1/containers', async (_, reply) => reply.type('application/json; charset=utf-8').send(body));
await app.listen({ path });
