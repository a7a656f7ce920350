/**
 * The calls that change a hosted container, or run something in it. Docker gets of them what was accepted, in its own
 * spelling, and of other containers the call as it came.
 */

import { acceptNetwork } from '../../container/accept-create-body.ts';
import { connectRule, execRule, updateRule } from '../../container/accepted-body.ts';
import type { Rule } from '../../container/accepted-fields.ts';
import { membersOf, type Read } from '../../container/docker-json.ts';
import type { DockerId } from '../../container/identity.ts';
import { References } from '../../container/references.ts';
import type { Surroundings } from '../../container/surroundings.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { foldBody, LONGEST_BODY, readBody } from './client-body.ts';
import type { Exchange, ReadBody } from './connection.ts';
import { intoMount } from './copied-into.ts';
import { rewritten } from './own-messages.ts';

/** Finds one that is or was hosted here. @param ref docker id, the beginning of one, or name, as it is in a path */
type Find = (ref: string) => Promise<{ readonly dockerId: DockerId } | undefined>;

/** Each handles a call, and may throw what its client is to be told. @returns whether the connection goes on */
export class Changes {
  readonly #host: Pick<Surroundings, 'docker' | 'paths' | 'allowed'>;
  readonly #find: Find;

  constructor(host: Pick<Surroundings, 'docker' | 'paths' | 'allowed'>, find: Find) {
    this.#host = host;
    this.#find = find;
  }

  async update(exchange: Exchange, ref: string): Promise<boolean> {
    return await this.#change(exchange, ref, updateRule);
  }

  async exec(exchange: Exchange, ref: string): Promise<boolean> {
    return await this.#change(exchange, ref, execRule);
  }

  async #change(exchange: Exchange, ref: string, rule: Rule): Promise<boolean> {
    const sent = await exchange.read(LONGEST_BODY);
    if (!(await this.#find(ref))) return await exchange.forward(sent);
    return await passOn(exchange, this.#accepted(readBody(sent), sent, rule));
  }

  /** Who is connected stands in the body. */
  async connect(exchange: Exchange, network: string): Promise<boolean> {
    const sent = await exchange.read(LONGEST_BODY);
    const read = readBody(sent);
    const refs = membersOf(read?.tree, 'Container').filter((ref) => typeof ref === 'string');
    const found = await Promise.all(refs.map((ref) => this.#find(ref)));
    if (!found.some(Boolean)) return await exchange.forward(sent);
    const body = this.#accepted(read, sent, connectRule);
    const { docker, allowed } = this.#host;
    await acceptNetwork(decodeURIComponent(network), { allowed }, new References(docker));
    return await passOn(exchange, body);
  }

  /** An archive, which is unpacked in the container. */
  async archive(exchange: Exchange, ref: string, query: string): Promise<boolean> {
    const found = await this.#find(ref);
    const target = found && (await intoMount(this.#host.docker, found.dockerId, query));
    if (target !== undefined) throw new ServiceError('container.copy_into_mount', { target });
    return await exchange.forward();
  }

  #accepted(read: Read | undefined, sent: ReadBody, rule: Rule): unknown {
    if (!read) throw new ServiceError('create.bad_body', { why: 'it is not JSON' });
    const { paths, allowed } = this.#host;
    return rule.accept(foldBody(read, sent, rule), '', { paths, allowed, labels: {}, granted: [] });
  }
}

async function passOn(exchange: Exchange, body: unknown): Promise<boolean> {
  return await sendInstead(exchange, Buffer.from(JSON.stringify(body)));
}

/** The call with another body, and else as it came. */
export async function sendInstead(exchange: Exchange, body: Buffer): Promise<boolean> {
  const { request } = exchange;
  const { bytes } = await exchange.ask(rewritten(request, request.target, body));
  return await exchange.reply(bytes);
}
