/**
 * What this host is: on EC2 its metadata service says so (IMDSv2: with a session token, never without),
 * elsewhere the machine describes itself.
 */

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { HttpClient, Question } from '../outgoing/http-client.ts';

export interface HostFacts {
  readonly amiId: string;
  readonly amiLaunchIndex: string;
  readonly instanceId: string;
  readonly instanceType: string;
  readonly region: string;
  /** Undefined when the instance has none. */
  readonly publicIpv4: string | undefined;
}

/** The address that every EC2 instance has for it. */
export const EC2_ENDPOINT = new URL('http://169.254.169.254');

/** Milliseconds for one question, and between attempts. */
const QUESTION = 1000;
const PAUSES = [100, 400];

/**
 * Whether this is an EC2 instance, as its firmware tells.
 * @param dmi directory with what the firmware says of itself
 */
export async function isEc2(dmi = '/sys/class/dmi/id'): Promise<boolean> {
  const read = (name: string) =>
    readFile(join(dmi, name), 'utf8').then(
      (text) => text.trim().toLowerCase(),
      () => '',
    );
  const [vendor, uuid, bios] = await Promise.all(['sys_vendor', 'product_uuid', 'bios_version'].map(read));
  // The first group of the uuid may be in either byte order: ec2e1916 is 16192eec.
  const isEc2Uuid = /^(ec2|[0-9a-f]{4}2[0-9a-f]ec-)/.test(uuid ?? '');
  return vendor === 'amazon ec2' || isEc2Uuid || /amazon|ec2/.test(bios ?? '');
}

/** The facts, remembered once they are known; those who ask meanwhile share the same question. */
export class Metadata {
  readonly #find: () => Promise<HostFacts>;
  #asked: Promise<HostFacts> | undefined;

  constructor(find: () => Promise<HostFacts>) {
    this.#find = find;
  }

  /** @throws {ServiceError} `metadata.unavailable`; the next call asks again */
  facts(): Promise<HostFacts> {
    this.#asked ??= this.#find().catch((error: unknown) => {
      this.#asked = undefined;
      throw error;
    });
    return this.#asked;
  }
}

/** What a machine outside EC2 says of itself. */
export function describeThisMachine(): HostFacts {
  const local = { amiId: 'local', instanceType: 'local', region: 'local' };
  return { ...local, amiLaunchIndex: '0', instanceId: hostname(), publicIpv4: undefined };
}

/**
 * Asks the metadata service, three times at most.
 * @param signal gives up earlier
 * @throws {ServiceError} `metadata.unavailable`
 */
export async function askEc2(http: HttpClient, endpoint: URL, signal: AbortSignal): Promise<HostFacts> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await askOnce(http, endpoint, signal);
    } catch (error) {
      signal.throwIfAborted();
      const milliseconds = PAUSES[attempt];
      const parameters = { endpoint: endpoint.origin, why: messageOf(error) };
      if (!milliseconds) throw new ServiceError('metadata.unavailable', parameters, { cause: error });
      await pause(milliseconds, undefined, { signal });
    }
  }
}

/** Paths and headers: Amazon EC2 User Guide, "Use IMDSv2". */
async function askOnce(http: HttpClient, endpoint: URL, signal: AbortSignal): Promise<HostFacts> {
  const ask = async (path: string, question: Pick<Question, 'method' | 'headers'>) => {
    const options = { ...question, signal, milliseconds: QUESTION };
    const { status, body } = await http.ask(new URL(`/latest/${path}`, endpoint), options);
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`${path} was answered with status ${status}`);
    if (!/^[\w.:/=+-]{1,512}$/.test(body)) throw new Error(`${path} was answered with something else`);
    return body;
  };
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
  const token = await ask('api/token', { method: 'PUT', headers: ttl });
  if (!token) throw new Error('it gives no session token');
  const find = (item: string) =>
    ask(`meta-data/${item}`, { method: 'GET', headers: { 'x-aws-ec2-metadata-token': token } });
  const need = async (item: string): Promise<string> => {
    const found = await find(item);
    if (!found) throw new Error(`it does not know ${item}`);
    return found;
  };
  const [amiId, amiLaunchIndex, instanceId, instanceType, region, publicIpv4] = await Promise.all([
    need('ami-id'),
    need('ami-launch-index'),
    need('instance-id'),
    need('instance-type'),
    need('placement/region'),
    find('public-ipv4'),
  ]);
  return { amiId, amiLaunchIndex, instanceId, instanceType, region, publicIpv4 };
}
