/**
 * The default limits for processes, memory and the log of a hosted container, which apply where its create body sets
 * none. Without them, one container could use up what the others and the service need.
 */

import type { EngineFacts } from '../../docker-engine/answers.ts';
import type { Logger } from '../../logging/logger.ts';
import { type Amount, bytesOf } from '../../settings/amount.ts';
import type { HostConfig } from './create-body.ts';

/** undefined: no limit. */
export interface DefaultLimits {
  /** Processes and threads. */
  readonly pids: number | undefined;
  /** In bytes. What a container writes to its tmpfs mounts and its shared memory counts. */
  readonly memory: number | undefined;
  /** Whether Docker can prevent a container from using swap in addition to its memory. */
  readonly canLimitSwap: boolean;
  /** The bytes that Docker keeps of the container's output. */
  readonly log: number | undefined;
  /** The log driver of a container that names none. */
  readonly logDriver: string;
}

/** The limits in the settings. */
export interface LimitSettings {
  readonly CONTAINER_PIDS: number | undefined;
  readonly CONTAINER_MEMORY: Amount | undefined;
  readonly CONTAINER_LOG_SIZE: number | undefined;
}

/**
 * The limits of the settings that this host's kernel and Docker can enforce.
 * @param total the host's memory in bytes
 */
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

/** The limits of the settings that this host cannot enforce, by the name of the setting. */
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

/** Drivers that store a log of a configurable size in files on this host. */
const ON_DISK = ['json-file', 'local'];
/** When a log file is full, Docker starts a new one and removes the oldest. */
const FILES = 2;

/**
 * The limits in `host` take precedence. For Docker, a limit that is 0 or negative means no limit, so it counts as
 * unset.
 */
export function withDefaultLimits(host: HostConfig, limits: DefaultLimits): HostConfig {
  return { ...host, ...pidsOf(host, limits), ...memoryOf(host, limits), ...logOf(host, limits) };
}

function pidsOf({ PidsLimit }: HostConfig, { pids }: DefaultLimits) {
  return pids === undefined || isAsked(PidsLimit) ? {} : { PidsLimit: pids };
}

/** Docker refuses a limit below the reserved memory. -1 avoids Docker's warning about what it cannot enforce. */
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

/** For Docker, a negative size means an unlimited log. */
function isSize(text: string | undefined): boolean {
  return text !== undefined && !text.startsWith('-');
}
