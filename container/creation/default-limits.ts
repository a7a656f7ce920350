/**
 * What a hosted container may use of its host where its create body does not say: processes, memory, and room for its
 * log. Without these limits one container could take from the host what all others and the service need.
 */

import type { EngineFacts } from '../../docker-engine/answers.ts';
import type { Logger } from '../../logging/logger.ts';
import { type Amount, bytesOf } from '../../settings/amount.ts';
import type { HostConfig } from './create-body.ts';

/** undefined: there is no limit. */
export interface DefaultLimits {
  /** Processes and threads. */
  readonly pids: number | undefined;
  /** Bytes. What a container writes to its tmpfs mounts and its shared memory counts. */
  readonly memory: number | undefined;
  /** Whether Docker can keep a container from using swap beyond its memory. */
  readonly canLimitSwap: boolean;
  /** Bytes that Docker keeps of what the container writes to its output. */
  readonly log: number | undefined;
  /** The log driver of a container that does not name one. */
  readonly logDriver: string;
}

/** What the settings say. */
export interface LimitSettings {
  readonly CONTAINER_PIDS: number | undefined;
  readonly CONTAINER_MEMORY: Amount | undefined;
  readonly CONTAINER_LOG_SIZE: number | undefined;
}

/** The limits that the settings ask for and this host's kernel and Docker can keep. @param total the host's memory in bytes */
export function limitsOf(settings: LimitSettings, engine: EngineFacts, total: number): DefaultLimits {
  const { CONTAINER_PIDS, CONTAINER_MEMORY, CONTAINER_LOG_SIZE } = settings;
  const { pids, memory, swap } = engine.canLimit;
  return {
    pids: pids ? CONTAINER_PIDS : undefined,
    memory: memory ? bytesOf(CONTAINER_MEMORY, total) : undefined,
    canLimitSwap: swap,
    log: CONTAINER_LOG_SIZE,
    logDriver: engine.logDriver,
  };
}

/** What the settings ask for and this host cannot keep, by the name of the setting. */
export function unkept(settings: LimitSettings, { canLimit }: EngineFacts): string[] {
  return [
    ...(settings.CONTAINER_PIDS !== undefined && !canLimit.pids ? ['CONTAINER_PIDS'] : []),
    ...(settings.CONTAINER_MEMORY !== undefined && !canLimit.memory ? ['CONTAINER_MEMORY'] : []),
  ];
}

export function warnOfUnkept(settings: LimitSettings, engine: EngineFacts, log: Logger): void {
  for (const name of unkept(settings, engine))
    log.warn(
      { setting: name },
      `Docker says that this kernel cannot keep the limit of ${name}; containers run without it`,
    );
}

/** Drivers that keep a log in files on this host, as large as they are told. */
const ON_DISK = ['json-file', 'local'];
/** When a file of the log is full, Docker begins another one and removes the oldest. */
const FILES = 2;

/** What is asked for in `host` stays; a limit that is 0 or negative means none to Docker, and counts as not asked for. */
export function withDefaultLimits(host: HostConfig, limits: DefaultLimits): HostConfig {
  return { ...host, ...pidsOf(host, limits), ...memoryOf(host, limits), ...logOf(host, limits) };
}

function pidsOf({ PidsLimit }: HostConfig, { pids }: DefaultLimits) {
  return pids === undefined || isAsked(PidsLimit) ? {} : { PidsLimit: pids };
}

/** Docker refuses a limit that is less than the memory that is reserved. -1: Docker says nothing of what it cannot do. */
function memoryOf({ Memory, MemoryReservation }: HostConfig, { memory, canLimitSwap }: DefaultLimits) {
  if (memory === undefined || isAsked(Memory)) return {};
  const most = Math.max(memory, Number(MemoryReservation ?? 0));
  return { Memory: most, MemorySwap: canLimitSwap ? most : -1 };
}

function logOf({ LogConfig }: HostConfig, { log, logDriver }: DefaultLimits) {
  const driver = LogConfig?.Type || logDriver;
  const { 'max-size': size, 'max-file': files = String(FILES), ...others } = LogConfig?.Config ?? {};
  if (log === undefined || !ON_DISK.includes(driver) || isSize(size)) return {};
  const each = Math.ceil(log / Math.max(1, Number(files)));
  const Config = { ...others, 'max-file': files, 'max-size': String(each) };
  return { LogConfig: { Type: driver, Config } };
}

function isAsked(limit: unknown): boolean {
  return Number(limit ?? 0) > 0;
}

/** A negative size means to Docker that the log may grow for ever. */
function isSize(text: string | undefined): boolean {
  return text !== undefined && !text.startsWith('-');
}
