/**
 * Resolves names in a way that can be aborted. Node's default, getaddrinfo, cannot be aborted: if no name server
 * answers, it blocks a thread and the end of the process for half a minute.
 */

import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP, type LookupFunction } from 'node:net';

/** Milliseconds for one query to one name server, and the number of attempts. */
const ANSWER = 1500;
const TRIES = 2;

interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export class Names {
  readonly #resolver = new Resolver({ timeout: ANSWER, tries: TRIES });
  readonly #hosts: string;

  /**
   * @param hosts a file in the format of /etc/hosts, which takes precedence over name servers
   * @param servers name servers to use instead of this host's own, as `address:port`
   */
  constructor(hosts = '/etc/hosts', servers?: readonly string[]) {
    this.#hosts = hosts;
    if (servers) this.#resolver.setServers(servers);
  }

  /** For `net.connect`. Calls back with all addresses, or with the first one. */
  readonly lookup: LookupFunction = (name, { all }, callback) => {
    this.#find(name).then(
      (found) => {
        if (all)
          callback(
            null,
            found.map((one) => ({ ...one })),
          );
        else callback(null, found[0]?.address ?? '', found[0]?.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };

  /** Aborts the queries in progress. */
  close(): void {
    this.#resolver.cancel();
  }

  async #find(name: string): Promise<readonly Address[]> {
    const listed = addressesIn(await readFile(this.#hosts, 'utf8').catch(() => ''), name);
    if (listed.length > 0) return listed;
    const [four, six] = await Promise.allSettled([
      this.#resolver.resolve4(name),
      this.#resolver.resolve6(name),
    ]);
    const found = [...of(four, 4), ...of(six, 6)];
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return found;
  }
}

function of(result: PromiseSettledResult<string[]>, family: 4 | 6): Address[] {
  return result.status === 'fulfilled' ? result.value.map((address) => ({ address, family })) : [];
}

/** The addresses of a name in the text of a hosts file. Source: hosts(5). */
function addressesIn(hosts: string, name: string): Address[] {
  const lines = hosts.split('\n').map((line) => (line.split('#', 1)[0] as string).trim().split(/\s+/));
  return lines
    .filter(([, ...names]) => names.some((one) => one.toLowerCase() === name.toLowerCase()))
    .map(([address = '']) => ({ address, family: isIP(address) as 4 | 6 }));
}
