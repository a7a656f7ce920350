/**
 * Remembers EchoStream's last answer about the app, so that a service that starts after the app was removed knows that
 * the app existed. The file holds neither credentials nor configs.
 */

import { readFile, rm } from 'node:fs/promises';
import { isSystemError } from '../../errors/service-error.ts';
import { writeFileAtomically } from '../../host/atomic-file.ts';
import type { Logger } from '../../logging/logger.ts';
import { type ManagedApp, managedAppIn } from './managed-app.ts';

export interface RememberedApp {
  read(): Promise<ManagedApp | undefined>;
  keep(app: ManagedApp): Promise<void>;
  forget(): Promise<void>;
}

/** If the file cannot be read or written, only this memory is lost. */
export class RememberedAppFile implements RememberedApp {
  readonly #path: string;
  /** Identifies the app; another app is not remembered. */
  readonly #id: string;
  readonly #log: Logger;
  #written: string | undefined;

  constructor(path: string, { app, tenant }: { readonly app: string; readonly tenant: string }, log: Logger) {
    this.#path = path;
    this.#id = JSON.stringify([tenant, app]);
    this.#log = log;
  }

  async read(): Promise<ManagedApp | undefined> {
    try {
      const text = await readFile(this.#path, 'utf8');
      const { id, answer } = JSON.parse(text);
      if (id !== this.#id) return undefined;
      const app = managedAppIn(answer, this.#path);
      this.#written = text;
      return app;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT'))
        this.#log.warn({ error }, 'the last answer of EchoStream for the app cannot be read');
      return undefined;
    }
  }

  async keep({ nodes, tenant }: ManagedApp): Promise<void> {
    const text = JSON.stringify({ id: this.#id, answer: { nodes, tenant } });
    if (text === this.#written) return;
    try {
      await writeFileAtomically(this.#path, text, 0o600);
      this.#written = text;
    } catch (error) {
      this.#log.warn({ error }, 'the last answer of EchoStream for the app cannot be written');
    }
  }

  async forget(): Promise<void> {
    this.#written = undefined;
    await rm(this.#path, { force: true });
  }
}
