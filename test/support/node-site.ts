/** A host with managed nodes only: the file that lists them, a registry, and their containers. */

import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import type { NodeSpec } from '../../managed-nodes/spec/node-spec.ts';
import { Operator } from './operator.ts';
import type { ServiceProcess, StartOptions } from './service-process.ts';
import type { TestHost } from './test-host.ts';

/** A script that runs until it receives SIGTERM. */
export const RUNS = 'trap "exit 0" TERM; echo began; while :; do /bin/busybox sleep 1; done';

export class NodeSite {
  readonly host: TestHost;
  readonly root: string;
  readonly file: string;

  constructor(host: TestHost) {
    this.host = host;
    this.root = host.newRoot();
    this.file = `${this.root}-nodes.yaml`;
  }

  get operator(): Operator {
    return new Operator(this.root);
  }

  /** Replaces the file like an editor. JSON is valid YAML. */
  write(nodes: readonly NodeSpec[], app = 'demo'): void {
    this.writeText(JSON.stringify({ app, nodes }, null, 2));
  }

  writeText(text: string): void {
    writeFileSync(`${this.file}.new`, text, { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }

  start(env: StartOptions['env'] = {}, launcher?: StartOptions['launcher']): Promise<ServiceProcess> {
    const settings = {
      ROOT: this.root,
      INTERACTIVE: 'off',
      NODES_FEED: 'file',
      NODES_FILE: this.file,
      ...env,
    };
    return this.host.start({ env: settings, ...(launcher && { launcher }) }).ready();
  }

  async view(node: string) {
    const { status, body } = await this.operator.ask('GET', `/v1/nodes/${node}`);
    return status === 200 ? body : { state: 'unknown' };
  }

  /** Waits until the node is in a state, for the given cause if there is one. @returns the node */
  async until(node: string, state: string, cause?: RegExp) {
    for (let looks = 0; looks < 600; looks++) {
      const found = await this.view(node);
      if (found.state === state && (cause?.test(found.cause) ?? true)) return found;
      await pause(50);
    }
    assert.fail(`${node} is not ${state}: ${JSON.stringify(await this.view(node))}`);
  }

  inspect(name: string): Promise<Dockerode.ContainerInspectInfo> {
    return this.host.docker.getContainer(name).inspect();
  }

  /** All containers, by name. */
  async names(): Promise<string[]> {
    const found = await this.host.docker.listContainers({ all: true });
    return found.flatMap(({ Names }) => Names.map((name) => name.slice(1))).sort();
  }

  /** Removes everything that a service leaves running on purpose. */
  async clear(): Promise<void> {
    for (const { Id } of await this.host.docker.listContainers({ all: true }))
      await this.host.docker.getContainer(Id).remove({ force: true, v: true });
    await this.host.docker.pruneNetworks();
  }
}
