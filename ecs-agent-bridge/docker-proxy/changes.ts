/**
 * The calls that change a hosted container or run a program in it. Docker gets only what was accepted, in its own
 * spelling. Calls about other containers are passed on unchanged.
 */

import { connectRule, execRule, updateRule } from '../../container/creation/accepted-calls.ts';
import type { Rule } from '../../container/creation/accepted-fields.ts';
import { acceptNetwork, checkNetworks } from '../../container/creation/accepted-networks.ts';
import type { Surroundings } from '../../container/surroundings.ts';
import { membersOf, type Read, withMember, writeJson } from '../../docker-engine/docker-json.ts';
import { References } from '../../docker-engine/references.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Exchange, ReadBody } from './connection.ts';
import { intoMount } from './copied-into.ts';
import { checkName, type Find, type Named, refuseUnknown } from './named.ts';
import { rewritten } from './own-messages.ts';
import { foldBody, LONGEST_BODY, readBody } from './read-body.ts';

/** Each method handles a call, and may throw an error for the client. @returns whether the connection continues */
export class Changes {
  readonly #host: Pick<Surroundings, 'docker' | 'paths' | 'allowed'>;
  readonly #find: Find;

  constructor(host: Pick<Surroundings, 'docker' | 'paths' | 'allowed'>, find: Find) {
    this.#host = host;
    this.#find = find;
  }

  async update(exchange: Exchange, named: Named): Promise<boolean> {
    return await this.#change(exchange, named, updateRule);
  }

  async exec(exchange: Exchange, named: Named): Promise<boolean> {
    return await this.#change(exchange, named, execRule);
  }

  async #change(exchange: Exchange, { hosted }: Named, rule: Rule): Promise<boolean> {
    const sent = await exchange.read(LONGEST_BODY);
    if (!hosted) return await exchange.forward(sent);
    return await passOn(exchange, this.#accepted(readBody(sent), sent, rule));
  }

  /** The body names the container, so its id must replace the name there too. */
  async connect(exchange: Exchange, network: string): Promise<boolean> {
    const sent = await exchange.read(LONGEST_BODY);
    const read = readBody(sent);
    const named = membersOf(read?.tree, 'Container');
    const [ref] = named;
    if (!read || named.length !== 1 || typeof ref !== 'string') throw unclear();
    const found = await this.#find(ref);
    if (!found) return await refuseUnknown(exchange, ref);
    const { dockerId, hosted } = found;
    if (!hosted) return await sendInstead(exchange, writeJson(withMember(read.tree, 'Container', dockerId)));
    const body = this.#accepted(read, sent, connectRule) as object;
    const { docker, allowed } = this.#host;
    await acceptNetwork(decodeURIComponent(network), allowed, new References(docker));
    const { request } = exchange;
    const change = async (target: string, more: object) =>
      await exchange.ask(
        rewritten(request, target, Buffer.from(JSON.stringify({ ...more, Container: dockerId }))),
      );
    const { bytes } = await change(request.target, body);
    try {
      await checkNetworks(await docker.inspect(dockerId), this.#host);
    } catch (error) {
      await change(request.target.replace('/connect', '/disconnect'), { Force: true });
      throw error;
    }
    return await exchange.reply(bytes);
  }

  /** An archive, which Docker unpacks in the container. */
  async archive(exchange: Exchange, { dockerId, hosted }: Named, query: string): Promise<boolean> {
    const target = hosted && (await intoMount(this.#host.docker, dockerId, query));
    if (target !== undefined) throw new ServiceError('container.copy_into_mount', { target });
    return await exchange.forward();
  }

  #accepted(read: Read | undefined, sent: ReadBody, rule: Rule): unknown {
    if (!read) throw new ServiceError('create.bad_body', { why: 'it is not JSON' });
    const { paths, allowed } = this.#host;
    return rule.accept(foldBody(read, sent, rule), '', { paths, allowed, labels: {}, granted: [] });
  }
}

export async function restart(exchange: Exchange, { hosted }: Named): Promise<boolean> {
  if (hosted) throw new ServiceError('container.restart', { id: hosted.id });
  return await exchange.forward();
}

/** Docker would also accept the name from a body. */
export async function rename(exchange: Exchange, { hosted }: Named, query: string): Promise<boolean> {
  if (!hosted) return await exchange.forward();
  checkName(query);
  return await sendInstead(exchange, '');
}

function unclear(): ServiceError {
  return new ServiceError('create.bad_body', { why: 'it must be JSON that names one Container' });
}

async function passOn(exchange: Exchange, body: unknown): Promise<boolean> {
  return await sendInstead(exchange, JSON.stringify(body));
}

/** Sends the call with another body, and otherwise unchanged. */
export async function sendInstead(exchange: Exchange, body: string): Promise<boolean> {
  const { request } = exchange;
  const { bytes } = await exchange.ask(rewritten(request, request.target, Buffer.from(body)));
  return await exchange.reply(bytes);
}
