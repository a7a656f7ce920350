/**
 * The GPUs that a create body asks for, in the two ways of nvidia's toolkit: device requests, and the variable
 * NVIDIA_VISIBLE_DEVICES, with which the ECS agent names them. A body that names no GPU gets named ones, since Docker
 * would give it all.
 */

import { UUID } from '../../host/gpus.ts';
import { isRecord } from '../../parsing/json.ts';
import type { CreateBody, HostConfig } from './create-body.ts';

/** By nvidia's runtime, or by CDI, the Container Device Interface. */
export type GpuAccess = 'nvidia' | 'cdi';

export interface GpusWanted {
  /** The UUIDs that the body names. */
  readonly chosen: readonly string[];
  /** The number of GPUs that it wants if it names none. */
  readonly count: number;
}

const VARIABLE = 'NVIDIA_VISIBLE_DEVICES';

interface DeviceRequest {
  readonly Driver?: string;
  readonly Count?: number;
  readonly DeviceIDs?: readonly string[] | null;
  readonly [field: string]: unknown;
}

/** @param body accepted */
export function gpusWanted({ Env, HostConfig: host }: CreateBody): GpusWanted {
  const requests = requestsIn(host);
  const named = [...requests.flatMap(({ DeviceIDs }) => DeviceIDs ?? []), ...visibleIn(Env)];
  const chosen = [...new Set(named.filter((id) => UUID.test(id)))];
  const counts = requests.filter(isUnnamed).map(({ Count = 0 }) => Math.max(1, Count));
  return { chosen, count: chosen.length > 0 ? 0 : Math.max(0, ...counts) };
}

/** Replaces the requests that name no GPU. @param uuids the GPUs of the container; none: no change */
export function withGpus(body: CreateBody, uuids: readonly string[], access: GpuAccess): CreateBody {
  const [unnamed] = requestsIn(body.HostConfig).filter(isUnnamed);
  if (uuids.length === 0 || !unnamed) return body;
  const others = requestsIn(body.HostConfig).filter((request) => !isUnnamed(request));
  const own =
    access === 'cdi'
      ? { Driver: 'cdi', DeviceIDs: uuids.map(cdiName) }
      : { ...unnamed, Driver: 'nvidia', Count: 0, DeviceIDs: uuids };
  // If nvidia's runtime is Docker's default, it obeys the variable as well.
  const visible = access === 'cdi' ? 'void' : uuids.join(',');
  const env = (Array.isArray(body.Env) ? (body.Env as string[]) : []).filter((one) => !isVariable(one));
  return {
    ...body,
    Env: [...env, `${VARIABLE}=${visible}`],
    HostConfig: { ...body.HostConfig, DeviceRequests: [...others, own] },
  };
}

/** The name of a GPU as nvidia's toolkit describes it to CDI. */
function cdiName(uuid: string): string {
  return `nvidia.com/gpu=${uuid}`;
}

function requestsIn(host: HostConfig | null | undefined): DeviceRequest[] {
  const requests = host?.DeviceRequests;
  return Array.isArray(requests) ? requests.filter(isRecord) : [];
}

function isUnnamed({ DeviceIDs }: DeviceRequest): boolean {
  return (DeviceIDs ?? []).every((id) => id === 'all');
}

function isVariable(text: string): boolean {
  return text.startsWith(`${VARIABLE}=`);
}

/** The last one counts. */
function visibleIn(env: unknown): string[] {
  const texts = Array.isArray(env) ? (env as string[]).filter(isVariable) : [];
  return (
    texts
      .at(-1)
      ?.slice(VARIABLE.length + 1)
      .split(',') ?? []
  );
}
