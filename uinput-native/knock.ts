/** Whether ports are open, asked so that the programs behind them do not notice. */

import { addon } from './addon.ts';

/** Milliseconds that are waited for an answer: they hold a thread that files are read with. */
const PATIENCE = 1000;

/**
 * Whether a port takes connections at each of the addresses. One that does not answer in time, as that of a program
 * with a full queue does not, takes none.
 * @param addresses IPv4, at most 1024
 */
export async function knock(addresses: readonly string[], port: number): Promise<boolean[]> {
  return addresses.length === 0 ? [] : await addon().knock(addresses, port, PATIENCE);
}
