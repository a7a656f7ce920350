/**
 * Tells from the kernel's network tables whether somebody is connected to a container. A container can fill these
 * tables, so only a part of them is read. A connection counts as a user's unless it is certain that it is not.
 *
 * Source: proc_pid_net(5). Addresses are hexadecimal. Each 32-bit word is in the machine's byte order, little-endian.
 */

import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../errors/service-error.ts';
import { linesIn } from '../../parsing/lines.ts';

export interface NetworkUse {
  /** Whether a program outside the container is connected to one of the ports. */
  readonly isConnected: boolean;
  /** Whether a program in the container receives datagrams from any sender on one of the ports. */
  readonly takesDatagrams: boolean;
  /**
   * The number of datagrams that the container's programs have received since its network was created, on any port. The
   * kernel does not count datagrams by port.
   */
  readonly datagrams: number;
}

/** The limit for reading one table, in bytes; about 25,000 connections. */
const MOST_BYTES = 4 * 2 ** 20;
const LONGEST_LINE = 1024;
const ESTABLISHED = '01';
const ENTRY = /^\s*\d+: ([\dA-F]+):([\dA-F]{4}) ([\dA-F]+):([\dA-F]{4}) ([\dA-F]{2}) /;

interface Entry {
  readonly local: string;
  readonly port: number;
  readonly peer: string;
  readonly state: string;
}

/**
 * @param directory `/proc/PID/net` of one of the container's processes
 * @param published container ports, such as `32262/tcp`
 * @throws {Error} if that process has ended
 */
export async function networkUse(directory: string, published: readonly string[]): Promise<NetworkUse> {
  const find = async (protocol: 'tcp' | 'udp', fits: (entry: Entry) => boolean): Promise<boolean> => {
    const ports = portsOf(published, protocol);
    if (ports.size === 0) return false;
    const isIt = (line: string) => {
      const entry = entryIn(line);
      return entry !== undefined && ports.has(entry.port) && fits(entry);
    };
    const tables = [protocol, `${protocol}6`].map((name) => hasLine(join(directory, name), isIt));
    return (await Promise.all(tables)).includes(true);
  };
  const [hasConnection, hasPeer, takesDatagrams, datagrams] = await Promise.all([
    find('tcp', isFromElsewhere),
    find('udp', isFromElsewhere),
    find('udp', ({ state }) => state !== ESTABLISHED),
    countDatagrams(directory),
  ]);
  return { isConnected: hasConnection || hasPeer, takesDatagrams, datagrams };
}

function portsOf(published: readonly string[], protocol: 'tcp' | 'udp'): Set<number> {
  const own = published.filter((port) => port.endsWith(`/${protocol}`));
  return new Set(own.map((port) => Number.parseInt(port, 10)));
}

function entryIn(line: string): Entry | undefined {
  const [, local = '', port = '', peer = '', , state = ''] = ENTRY.exec(line) ?? [];
  return local ? { local, port: Number.parseInt(port, 16), peer, state } : undefined;
}

/** A program that connects to its own container's address has the same address at both ends. */
function isFromElsewhere({ local, peer, state }: Entry): boolean {
  return state === ESTABLISHED && peer !== local && !isLoopback(peer);
}

/** Matches 127.0.0.0/8, also as an IPv4-mapped IPv6 address, and ::1. */
function isLoopback(address: string): boolean {
  return /^(0{16}FFFF0000)?[\dA-F]{6}7F$/.test(address) || address === `${'0'.repeat(24)}01000000`;
}

/** @returns true also if the table exceeds the limit; false if this kernel has no such table */
async function hasLine(path: string, fits: (line: string) => boolean): Promise<boolean> {
  const file = createReadStream(path, { end: MOST_BYTES });
  try {
    for await (const lines of linesIn(file, LONGEST_LINE)) {
      if (file.bytesRead > MOST_BYTES || lines.some(fits)) return true;
    }
    return false;
  } catch (error) {
    if (path.endsWith('6') && isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

async function countDatagrams(directory: string): Promise<number> {
  const four = await readFile(join(directory, 'snmp'), 'latin1');
  const six = await readFile(join(directory, 'snmp6'), 'latin1').catch(() => '');
  const [, ofFour] = /^Udp: (\d+) /m.exec(four) ?? [];
  const [, ofSix] = /^Udp6InDatagrams\s+(\d+)$/m.exec(six) ?? [];
  return Number(ofFour ?? 0) + Number(ofSix ?? 0);
}
