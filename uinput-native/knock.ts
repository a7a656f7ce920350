/** Tests whether ports are open without the programs behind them noticing. */

import { addon } from './addon.ts';

/** The time limit for an answer, in milliseconds. Meanwhile a thread of libuv's pool is occupied. */
const PATIENCE = 1000;

/**
 * Whether a port accepts connections at each of the addresses. An address that does not answer in time counts as
 * closed, for example because the program's queue is full.
 * @param addresses IPv4, at most 1024
 */
export async function knock(addresses: readonly string[], port: number): Promise<boolean[]> {
  return addresses.length === 0 ? [] : await addon().knock(addresses, port, PATIENCE);
}
