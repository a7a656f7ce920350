/**
 * Keeps the webserver's token for this host on disk until the webserver has accepted the last heartbeat. A webserver
 * that still knows an instance refuses to register it again, so a host that lost its token could never return.
 */

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import { isSystemError, messageOf } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import { writeFileAtomically } from './atomic-file.ts';
import { exists } from './directories.ts';

/** The identity of this host at the webserver. */
export interface Registration {
  readonly token: string;
  readonly instanceId: string;
}

const Content = Type.Object({ webserver: Type.String(), instanceId: Type.String(), token: Type.String() });

/** Failures with the file are not thrown: the host then registers again. */
export class KeptRegistration {
  readonly #path: string;
  readonly #webserver: string;
  readonly #log: Logger;

  /** @param state the directory that survives reboots @param webserver its URL; a token is valid only there */
  constructor(state: string, webserver: string, log: Logger) {
    this.#path = join(state, 'webserver-registration.json');
    this.#webserver = webserver;
    this.#log = log;
  }

  /** Whether a last heartbeat is owed. It does not check whether the file belongs to this instance. */
  async exists(): Promise<boolean> {
    return await exists(this.#path);
  }

  /**
   * Reads the registration of this instance. If an image was made from a host, it contains the file of that host; this
   * removes it.
   * @returns undefined if there is none, or if it belongs to another webserver
   */
  async read(instanceId: string): Promise<Registration | undefined> {
    try {
      const content: unknown = JSON.parse(await readFile(this.#path, 'utf8'));
      if (!Check(Content, content))
        throw new Error('its content does not have the format that this service writes');
      const { token, ...of } = content;
      if (of.webserver === this.#webserver && of.instanceId === instanceId) return { instanceId, token };
      await this.forget();
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) this.#warn('cannot be read', error);
    }
    return undefined;
  }

  async write(registration: Registration): Promise<void> {
    const content = { webserver: this.#webserver, ...registration };
    await writeFileAtomically(this.#path, `${JSON.stringify(content)}\n`, 0o600).catch((error: unknown) =>
      this.#warn('cannot be written', error),
    );
  }

  /** To be called when the webserver no longer knows this host. */
  async forget(): Promise<void> {
    await rm(this.#path, { force: true }).catch((error: unknown) => this.#warn('cannot be removed', error));
  }

  /** Logs the path, but never the content of the file. */
  #warn(what: string, error: unknown): void {
    const why = error instanceof SyntaxError ? 'it is not JSON' : messageOf(error);
    this.#log.warn(`${this.#path}, the webserver's token for this host, ${what}: ${why}`);
  }
}
