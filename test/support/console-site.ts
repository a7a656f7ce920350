/**
 * A host with the web console, and a browser, which all tests of the console share: the service with containers, nodes,
 * and users' files in a simulated S3.
 */

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, type Visit, visit } from './browser.ts';
import { NodeSite } from './node-site.ts';
import type { Operator } from './operator.ts';
import { Registry } from './registry.ts';
import { S3 } from './s3.ts';
import { CONSOLE_TOKENS } from './secrets.ts';
import type { ServiceProcess } from './service-process.ts';
import { importShellImage } from './shell-image.ts';
import { until } from './site.ts';
import { TestHost } from './test-host.ts';

const PORT = 4678;
const TOKEN_FILE = '/run/test/operator-token';

export class ConsoleSite implements AsyncDisposable {
  readonly port = PORT;
  readonly origin = `https://127.0.0.1:${PORT}`;
  readonly host: TestHost;
  readonly nodes: NodeSite;
  readonly registry: Registry;
  readonly browser: Browser;
  readonly #s3: S3;
  #service: ServiceProcess | undefined;
  #visits: Visit[] = [];

  static async open(): Promise<ConsoleSite> {
    const [host, browser] = await Promise.all([TestHost.open(), openBrowser()]);
    await importShellImage(host.docker);
    const site = new ConsoleSite(host, browser, await S3.open(), await Registry.open());
    site.giveToken(CONSOLE_TOKENS.operator);
    site.nodes.write([]);
    await site.start();
    return site;
  }

  private constructor(host: TestHost, browser: Browser, s3: S3, registry: Registry) {
    this.host = host;
    this.browser = browser;
    this.#s3 = s3;
    this.registry = registry;
    this.nodes = new NodeSite(host);
  }

  get root(): string {
    return this.nodes.root;
  }

  get service(): ServiceProcess {
    assert.ok(this.#service);
    return this.#service;
  }

  get operator(): Operator {
    return this.nodes.operator;
  }

  /** @param executable a program to run instead of the sources */
  async start(executable?: string): Promise<void> {
    const env = {
      ...this.#s3.settings,
      ROOT: this.root,
      NODES_FEED: 'file',
      NODES_FILE: this.nodes.file,
      OPERATOR_TOKEN_FILE: TOKEN_FILE,
      VIEWER_TOKEN: CONSOLE_TOKENS.viewer,
      LOG_LEVEL: 'info',
    };
    this.#service = await this.host.start({ env, ...(executable !== undefined && { executable }) }).ready();
  }

  giveToken(token: string): void {
    writeFileSync(TOKEN_FILE, token, { mode: 0o600 });
  }

  /** A new browser profile, at a page of the console. */
  async visit(hash = '', scheme: 'dark' | 'light' = 'dark', origin = this.origin): Promise<Visit> {
    const one = await visit(this.browser, scheme);
    this.#visits.push(one);
    await one.page.goto(`${origin}/console/${hash}`);
    return one;
  }

  async signIn(page: Page, token: string = CONSOLE_TOKENS.operator): Promise<Page> {
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Live', { exact: true }).waitFor();
    return page;
  }

  /** @returns a page of a user who has signed in */
  async signedIn(hash = '', token: string = CONSOLE_TOKENS.operator, origin = this.origin): Promise<Page> {
    return await this.signIn((await this.visit(hash, 'dark', origin)).page, token);
  }

  /** Opens a terminal in a container, and waits for its prompt. */
  async terminalIn(page: Page, id: string): Promise<void> {
    await page.goto(`${this.origin}/console/#/containers/${id}`);
    await page.getByRole('link', { name: 'Open a terminal' }).click();
    await page.getByText('Attached', { exact: true }).waitFor();
    await sees(page, /[#$] /);
  }

  async goneOf(id: string): Promise<void> {
    await this.operator.ask('POST', `/v1/containers/${id}/stop`);
  }

  /** Runs after each test: no page may have had a fault. */
  async leavePages(): Promise<void> {
    const faults = this.#visits.flatMap((one) => one.faults);
    for (const one of this.#visits.splice(0)) await one[Symbol.asyncDispose]();
    assert.deepEqual(faults, [], 'faults of pages');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Each of them is closed, even if something below fails: a running Docker would keep this process alive.
    await using _host = this.host;
    await using _registry = this.registry;
    await using _s3 = this.#s3;
    await this.browser.close();
    assert.equal(await this.service.stop(), 0, this.service.log());
    // Files that an executable unpacked stay on a host, for its next start.
    rmSync(join(this.root, 'var/lib/ecs-host-service/program'), { recursive: true, force: true });
    await this.host.finish();
  }
}

/** Waits until a terminal shows something. */
export async function sees(page: Page, text: RegExp): Promise<void> {
  const rows = page.locator('.xterm-rows');
  await until(`the terminal shows ${text}`, async () =>
    text.test(((await rows.textContent()) ?? '').replaceAll('\u00a0', ' ')),
  );
}
