/**
 * Routes of the web console: its files, which are public, and its sessions. The console gets its data from `/v1`, like
 * any other client.
 */

import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { ServiceError } from '../../errors/service-error.ts';
import type { Authority } from '../v1/authority.ts';
import { consoleFiles, unzipped } from './console-files.ts';
import { throwUnlessSameOrigin } from './same-origin.ts';
import { COOKIE, LASTS, type Sessions, sessionIn } from './sessions.ts';

const PREFIX = '/console';
const SESSION = `${PREFIX}/session`;
const SIGN_OUT = `${PREFIX}/sign-out`;
const FIRST = 'index.html';

/**
 * Scripts come only from this host, and inline scripts are not allowed. Inline styles are allowed, because the terminal
 * emulator creates style elements.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  vary: 'accept-encoding',
};

const SignIn = Type.Object({ token: Type.String() });

export function isConsolePath(path: string): boolean {
  return path === PREFIX || path.startsWith(`${PREFIX}/`);
}

/** @param sessions undefined: callers are already authorized and need no session */
export function addConsoleRoutes(app: FastifyInstance, authority: Authority, sessions?: Sessions): void {
  const nobody = { exposeHeadRoute: false };
  app.get(PREFIX, nobody, async (_, reply) => reply.redirect(`${PREFIX}/`, 308));
  app.get<{ Params: { '*': string } }>(`${PREFIX}/*`, nobody, async ({ params, headers }, reply) =>
    send(reply, params['*'] || FIRST, headers['if-none-match'], headers['accept-encoding']),
  );
  app.get(SESSION, nobody, async ({ method, headers, socket }, reply) => {
    const { kind } = authority(headers.authorization, socket.remoteAddress ?? 'unknown', { method, headers });
    return reply.header('cache-control', 'no-store').send({ kind });
  });
  if (sessions) addSignIn(app, authority, sessions);
}

function addSignIn(app: FastifyInstance, authority: Authority, sessions: Sessions): void {
  const attributes = `Path=/; Secure; HttpOnly; SameSite=Strict`;
  app.post<{ Body: { token: string } }>(
    SESSION,
    {
      schema: { body: SignIn },
      onRequest: async ({ method, headers }) => throwUnlessSameOrigin({ method, headers }),
    },
    async ({ body: { token }, socket }, reply) => {
      const { kind } = authority(`Bearer ${token}`, socket.remoteAddress ?? 'unknown');
      const cookie = `${COOKIE}=${sessions.begin(token)}; Max-Age=${LASTS / 1000}; ${attributes}`;
      return reply.header('set-cookie', cookie).header('cache-control', 'no-store').send({ kind });
    },
  );
  app.post(SIGN_OUT, async ({ method, headers }, reply) => {
    throwUnlessSameOrigin({ method, headers });
    const cookie = sessionIn(headers.cookie);
    if (cookie !== undefined) await sessions.end(cookie);
    return reply.header('set-cookie', `${COOKIE}=; Max-Age=0; ${attributes}`).send({});
  });
}

function send(reply: FastifyReply, name: string, known = '', accepted = ''): FastifyReply {
  const file = consoleFiles().get(name);
  if (!file) throw new ServiceError('request.not_found', {});
  const isKept = file.isNamedByContent;
  reply.headers({
    ...HEADERS,
    etag: file.tag,
    'cache-control': isKept ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  if (known === file.tag) return reply.code(304).send();
  reply.type(file.type);
  if (!/\bgzip\b/.test(accepted)) return reply.send(unzipped(file));
  return reply.header('content-encoding', 'gzip').send(file.zipped);
}
