/** Describes this host. On EC2 the facts come from the metadata service, elsewhere from the machine itself. */

import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Imds } from './imds.ts';

export interface HostFacts {
  readonly amiId: string;
  /** undefined if unknown. */
  readonly amiLaunchIndex: string | undefined;
  readonly instanceId: string;
  readonly instanceType: string;
  readonly region: string;
  /** undefined if unknown, or if the instance has none. */
  readonly publicIpv4: string | undefined;
}

/** The address of the metadata service on every EC2 instance. */
const EC2_ENDPOINT = new URL('http://169.254.169.254');

/** Milliseconds between attempts. */
const PAUSES = [100, 400];
/** Excludes pages of other servers and directory listings. */
const WORD = /^[\w.:/=+-]{0,511}[\w.:=+-]$/;

/** Whether this is an EC2 instance, according to its firmware. @param dmi the directory with the firmware's DMI data */
export async function isEc2(dmi = '/sys/class/dmi/id'): Promise<boolean> {
  const read = (name: string) =>
    readFile(join(dmi, name), 'utf8').then(
      (text) => text.trim().toLowerCase(),
      () => '',
    );
  const [vendor, uuid, bios] = await Promise.all(['sys_vendor', 'product_uuid', 'bios_version'].map(read));
  // The first group of the UUID may be in either byte order: ec2e1916 is 16192eec.
  const isEc2Uuid = /^(ec2|[0-9a-f]{4}2[0-9a-f]ec-)/.test(uuid ?? '');
  return vendor === 'amazon ec2' || isEc2Uuid || /amazon|ec2/.test(bios ?? '');
}

/** The endpoint of the metadata service; undefined if this host has none or must not ask it. */
export async function metadataEndpoint(settings: {
  readonly AWS_EC2_METADATA_SERVICE_ENDPOINT?: URL | undefined;
  readonly AWS_EC2_METADATA_DISABLED?: boolean;
}): Promise<URL | undefined> {
  if (settings.AWS_EC2_METADATA_DISABLED) return undefined;
  return settings.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? ((await isEc2()) ? EC2_ENDPOINT : undefined);
}

/** Caches the facts once they are known. Concurrent callers share one request. */
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

/** The facts of a machine outside EC2. */
export function describeThisMachine(): HostFacts {
  const local = { amiId: 'local', instanceType: 'local', region: 'local' };
  return { ...local, amiLaunchIndex: '0', instanceId: hostname(), publicIpv4: undefined };
}

/**
 * Asks the metadata service, at most three times.
 * @param signal aborts earlier
 * @throws {ServiceError} `metadata.unavailable`
 */
export async function askEc2(imds: Imds, signal: AbortSignal): Promise<HostFacts> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await askOnce(imds, signal);
    } catch (error) {
      signal.throwIfAborted();
      const milliseconds = PAUSES[attempt];
      const parameters = { endpoint: imds.endpoint.origin, why: messageOf(error) };
      if (!milliseconds) throw new ServiceError('metadata.unavailable', parameters, { cause: error });
      await pause(milliseconds, undefined, { signal });
    }
  }
}

/** Paths: Amazon EC2 User Guide, "Instance metadata categories". */
async function askOnce(imds: Imds, signal: AbortSignal): Promise<HostFacts> {
  const need = async (path: string): Promise<string> => {
    const item = await imds.find(path, signal);
    if (!item) throw new Error(`it does not know ${path}`);
    if (!WORD.test(item.text)) throw new Error(`${path} returned an unexpected value`);
    return item.text;
  };
  // The registration does not depend on these facts, so an unusable one is left out.
  const want = async (path: string, isRight: (text: string) => boolean): Promise<string | undefined> => {
    const item = await imds.find(path, signal).catch(() => undefined);
    return item && isRight(item.text) ? item.text : undefined;
  };
  const [amiId, amiLaunchIndex, instanceId, instanceType, region, publicIpv4] = await Promise.all([
    need('ami-id'),
    want('ami-launch-index', (text) => /^\d{1,9}$/.test(text)),
    need('instance-id'),
    need('instance-type'),
    need('placement/region'),
    want('public-ipv4', isIPv4),
  ]);
  return { amiId, amiLaunchIndex, instanceId, instanceType, region, publicIpv4 };
}
