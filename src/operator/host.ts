/** The commands about the whole host: `capacity` and `drain`. */

import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { align } from '../align.ts';
import { dataOf } from './client.ts';
import { asJson, linesOf } from './containers.ts';

const KIB_IN_GIB = 2 ** 20;

export async function capacity(api: Api, isJson: boolean): Promise<string> {
  const found = dataOf(await api.GET('/v1/capacity'));
  return isJson ? asJson(found) : describeCapacity(found);
}

export function describeCapacity({ fits, short, resources, memory, warm }: Schemas['Capacity']): string {
  const rows = resources.map(({ name, size, held, warm, each, fits }) => [
    name,
    ...[size, held, warm, each, fits].map(String),
  ]);
  return linesOf([
    `Room for ${fits} more containers; ${short} run out first.`,
    ...align([['RESOURCE', 'SIZE', 'HELD', 'WARM', 'EACH', 'FITS'], ...rows]),
    `Memory: ${(memory.available / KIB_IN_GIB).toFixed(1)} of ${(memory.total / KIB_IN_GIB).toFixed(1)} GiB are available.`,
    ...(warm === 0 ? [] : [`${warm} warm containers wait in pools; they give way to others.`]),
  ]);
}

export async function drain(api: Api, isJson: boolean): Promise<string> {
  const found = dataOf(await api.PUT('/v1/drain'));
  if (isJson) return asJson(found);
  return `The host accepts no more containers. The service exits when the last ${found.containers} have ended.\n`;
}
