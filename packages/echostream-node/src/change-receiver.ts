/**
 * Receives changes of the tenant. An app gets the changes of its own resources. Nodes that follow a receiver refresh themselves
 * when their tenant, their app, their edges or they themselves may have changed.
 */

import { AppNode, type AppNodeOptions } from './app-node.ts';
import { EchoStreamError } from './errors.ts';
import type { EchoNode } from './node.ts';
import { Problems } from './options.ts';
import type { Delivery } from './receiving/held.ts';

/** A resource with its type and attributes. */
export interface Echo {
  readonly type: string;
  readonly [attribute: string]: unknown;
}

export interface Change {
  /** The time of the change, in ISO 8601. */
  readonly datetime: string;
  readonly lastModified: { readonly at: string; readonly by: string };
  /** True if EchoStream itself made the change. */
  readonly system: boolean;
  readonly tenant: string;
  /** The resource after the change; missing if it was deleted. */
  readonly new?: Echo | null;
  /** The resource before the change; missing if it was created. */
  readonly old?: Echo | null;
}

export interface ChangeReceiverOptions extends AppNodeOptions {
  /** The name of the app, from which the receiver's name follows. Environment: APP. */
  readonly app?: string;
}

export class ChangeReceiver extends AppNode {
  readonly #followers = new Set<EchoNode>();

  constructor({ app = process.env.APP, ...options }: ChangeReceiverOptions = {}) {
    const problems = new Problems();
    if (!options.name && !app) problems.add('app', 'is missing; give the option or set APP');
    super({ ...options, name: options.name ?? `${app}:Change Receiver` }, problems);
  }

  /** Override this method. If it rejects, the change is delivered again. */
  async handleChange(_change: Change, _delivery: Delivery): Promise<void> {}

  /** Refreshes a started node when a change concerns it. */
  follow(node: EchoNode): void {
    this.#followers.add(node);
  }

  unfollow(node: EchoNode): void {
    this.#followers.delete(node);
  }

  override async handleReceivedMessage(delivery: Delivery): Promise<void> {
    const change = parseChange(delivery.message.body);
    const concerned = [...this.#followers].filter((node) => concerns(change, node));
    await Promise.all(concerned.map((node) => node.refresh()));
    await this.handleChange(change, delivery);
    await this.auditMessage(delivery.message, {
      extraAttributes: { app: this.app },
      source: delivery.source,
    });
  }
}

/** @throws EchoStreamError CHANGE_INVALID, without any part of the change, which may contain a configuration */
export function parseChange(body: string): Change {
  let change: Partial<Change> | null = null;
  try {
    change = JSON.parse(body);
  } catch {
    // JSON.parse quotes text that it cannot parse.
  }
  const echo = change?.new ?? change?.old;
  if (typeof change?.datetime === 'string' && typeof echo?.type === 'string') return change as Change;
  throw new EchoStreamError(
    'CHANGE_INVALID',
    'The message is not a change: it has no datetime, or no resource with a type.',
  );
}

function concerns(change: Change, node: EchoNode): boolean {
  const { type, name, source, target } = (change.new ?? change.old) as Echo;
  if (type === 'Edge') return source === node.name || target === node.name;
  // A removed resource has no record to read.
  if (!change.new || change.new.removed) return false;
  if (type === 'Tenant') return true;
  if (type.endsWith('App')) return name === node.app;
  return type.endsWith('Node') && name === node.name;
}
