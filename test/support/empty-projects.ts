/** Empty projects into which packages are installed as npm would publish them, without a registry, on each Node version. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');
export const NODES = ['22', '24', '26'] as const;

export type Line = (typeof NODES)[number];

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>;
}

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The packages that are published. */
const PUBLISHED = globSync('packages/*/package.json', { cwd: ROOT })
  .map((path): Manifest => JSON.parse(readFileSync(join(ROOT, path), 'utf8')))
  .filter((manifest) => !manifest.private);

export const NAMES: readonly string[] = PUBLISHED.map(({ name }) => name);

export class EmptyProjects implements Disposable {
  readonly work = mkdtempSync(join(tmpdir(), 'packages-'));

  [Symbol.dispose](): void {
    rmSync(this.work, { recursive: true });
  }

  /** With that Node first in the path; npm runs on it too. */
  environment(line: Line): NodeJS.ProcessEnv {
    const directory = line === '24' ? 'node' : `node-${line}`;
    const bin = join(ROOT, `tools/${directory}/node_modules/node-linux-${process.arch}/bin`);
    return { ...process.env, PATH: `${bin}:${process.env.PATH}`, npm_config_cache: join(this.work, 'cache') };
  }

  /** The project that a package is, or will be, installed into. */
  of(name: string, line: Line): string {
    return join(this.work, `${name}-${line}`);
  }

  async run(line: Line, project: string, ...words: string[]): Promise<string> {
    const env = this.environment(line);
    const { stdout } = await promisify(execFile)('node', words, { cwd: project, env });
    return stdout;
  }

  /** Installs a package for each Node version, and asserts that it can be loaded there and exports the same. */
  async installAndLoad(name: string): Promise<void> {
    const found: string[] = [];
    for (const line of NODES) {
      const project = this.#install(name, line);
      assert.match(await this.run(line, project, '--version'), new RegExp(`^v${line}\\.`));
      const script = `console.log(Object.keys(await import('${name}')).join())`;
      found.push(await this.run(line, project, '--input-type=module', '--eval', script));
    }
    assert.match(found[0] ?? '', /\w/);
    assert.equal(new Set(found).size, 1, found.join(''));
  }

  /** Installs a package with its dependencies beside it, because there is no registry. @returns the project */
  #install(name: string, line: Line): string {
    const project = this.of(name, line);
    const tarballs = join(this.work, `${name}-tarballs`);
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }');
    if (line === NODES[0]) this.#pack(name, project, tarballs);
    this.#npm(line, project, 'install', ...readdirSync(tarballs).map((file) => join(tarballs, file)));
    return project;
  }

  #pack(name: string, project: string, tarballs: string): void {
    const manifest = PUBLISHED.find((one) => one.name === name) as Manifest;
    mkdirSync(tarballs);
    const lock: Lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    const directories = dependenciesOf(manifest, lock).map((one) => join(ROOT, 'node_modules', one));
    if (directories.length > 0)
      this.#npm(NODES[0], project, 'pack', ...directories, '--pack-destination', tarballs);
    const own = `${name}-${manifest.version}.tgz`;
    cpSync(join(ROOT, 'build/packages', own), join(tarballs, own));
  }

  #npm(line: Line, project: string, ...words: string[]): void {
    const options = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', [...words, ...options], { cwd: project, env: this.environment(line) });
  }
}

/** A package's dependencies, including indirect ones, as in this checkout. */
function dependenciesOf({ dependencies = {} }: Manifest, { packages: locked }: Lock): string[] {
  const found = new Set<string>();
  const add = (names: Readonly<Record<string, string>> = {}): void => {
    for (const name of Object.keys(names)) {
      if (found.has(name)) continue;
      found.add(name);
      add(locked[`node_modules/${name}`]?.dependencies);
    }
  };
  add(dependencies);
  return [...found];
}
