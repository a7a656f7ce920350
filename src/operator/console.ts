/** The command that shows the web console to a browser on this host, without a token. */

import { once } from 'node:events';
import { ServiceError } from '../../errors/service-error.ts';
import type { Api } from '../../packages/api-client/src/main.ts';
import { serveOnLoopback } from '../web-console/loopback-server.ts';
import { dataOf } from './client.ts';

/** Serves until the command is ended. @throws {ServiceError} `operator.*` */
export async function showConsole(
  api: Api,
  target: { readonly socket: string },
  port: string | undefined,
  say: (text: string) => Promise<void>,
): Promise<void> {
  if (port !== undefined && !/^(0|[1-9]\d{0,4})$/.test(port)) {
    throw new ServiceError('operator.bad_option', { option: '--port', wanted: '8080', got: port });
  }
  dataOf(await api.GET('/v1/host'));
  const { server, url } = await serveOnLoopback(target.socket, Number(port ?? 0));
  await say(`Open ${url}\nThe address works once. The console ends with this command (Ctrl-C).\n`);
  await once(server, 'close');
}
