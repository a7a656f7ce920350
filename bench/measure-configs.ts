/**
 * Saves and restores a profile, in turns with the predecessor's tools and with plain tar, and prints the times. It runs
 * from a bundle, like the service. A separate process simulates S3.
 */

import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DeleteObjectCommand, PutObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { ConfigHost, type Container } from '../test/support/config-host.ts';
import { S3_KEY_ID, S3_SECRET, TOKEN } from '../test/support/secrets.ts';
import { inRandomOrder, timed } from './measure.ts';
import { smallContent, smallFiles } from './profile.ts';

const ROUNDS = 5;
/** The share of small files that change between a save and a checkpoint. */
const CHANGED = 0.01;
const never = new AbortController().signal;

/** In milliseconds; the first number of each pair is the service's. */
export interface Taken {
  readonly saves: readonly (readonly [number, number])[];
  readonly restores: readonly (readonly [number, number])[];
  readonly checkpoints: readonly number[];
  /** The growth of the process in bytes. */
  readonly growths: readonly number[];
}

const root = mkdtempSync(join(tmpdir(), 'user-configs-'));
const server = fork(join(import.meta.dirname, 's3-server.mjs'));
const [s3]: [{ bucket: string; url: string }] = (await once(server, 'message')) as never;
const credentials = { accessKeyId: S3_KEY_ID, secretAccessKey: S3_SECRET };
const client = new S3Client({ endpoint: s3.url, region: 'us-east-1', credentials });
const host = await ConfigHost.open(s3, { limit: 2 ** 40, spoolLimit: 2 ** 40 }, root);

interface Parts {
  readonly root: string;
  readonly host: ConfigHost;
  readonly client: S3Client;
  readonly bucket: string;
}

class Bench {
  readonly #parts: Parts;
  readonly #tree: string;
  readonly #tar: string;
  readonly #old: string;
  #users = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#tree = join(parts.root, 'profile');
    this.#tar = join(parts.root, 'profile.tar');
    this.#old = join(parts.root, 'old.enc');
  }

  async run(): Promise<Taken> {
    execFileSync(process.execPath, [join(import.meta.dirname, 'make-profile.mjs'), this.#tree]);
    execFileSync('tar', ['-C', this.#tree, '-cf', this.#tar, '.']);
    // Loads everything that is loaded on demand.
    await (await this.#parts.host.begin()).session.save(never);
    await this.#arrived();
    await this.#parts.host.begin();
    const before = process.memoryUsage.rss();
    const saves: [number, number][] = [];
    const restores: [number, number][] = [];
    const checkpoints: number[] = [];
    const peaks: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      saves.push(
        await inRandomOrder(
          () => this.#peak(peaks, () => this.#save()),
          () => this.#saveAsBefore(),
        ),
      );
      restores.push(
        await inRandomOrder(
          () => this.#peak(peaks, () => this.#restore()),
          () => this.#untar(),
        ),
      );
      checkpoints.push(await this.#checkpoint());
      await this.#empty();
    }
    const growths = peaks.map((peak) => peak - before);
    return { saves, restores, checkpoints, growths };
  }

  /** Milliseconds from the end of a container until S3 has its files. */
  async #save(): Promise<number> {
    const container = await this.#use();
    const taken = await this.#untilArrived(() => container.session.save(never));
    this.#giveBack(container);
    return taken;
  }

  async #saveAsBefore(): Promise<number> {
    const { client, bucket } = this.#parts;
    const tools =
      'set -o pipefail; tar -C "$1" -cf - . | lz4 -q -c | openssl enc -aes-256-cbc -pbkdf2 -pass env:TOKEN > "$2"';
    const env = { PATH: process.env.PATH, TOKEN };
    rmSync(this.#old, { force: true });
    execFileSync('sync');
    return await timed(async () => {
      execFileSync('bash', ['-c', tools, 'save', this.#tree, this.#old], { env });
      const Body = createReadStream(this.#old);
      const ContentLength = statSync(this.#old).size;
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'old', Body, ContentLength }));
    });
  }

  /** Milliseconds for restoring the last save to a container. */
  async #restore(): Promise<number> {
    execFileSync('sync');
    let container: Container | undefined;
    const taken = await timed(async () => {
      container = await this.#parts.host.begin({ userId: this.#user });
    });
    if (container?.outcome !== 'restored') throw new Error(`nothing was restored: ${container?.outcome}`);
    rmSync(container.own, { recursive: true });
    return taken;
  }

  async #untar(): Promise<number> {
    const target = join(this.#parts.root, 'untarred');
    mkdirSync(target);
    execFileSync('sync');
    const taken = await timed(async () => execFileSync('tar', ['-C', target, '-xf', this.#tar]));
    rmSync(target, { recursive: true });
    return taken;
  }

  /** Milliseconds for saving changes after a first save, until S3 has them. */
  async #checkpoint(): Promise<number> {
    const { host } = this.#parts;
    const container = await this.#use();
    await host.tick();
    await container.session.checkpoint(never);
    await this.#arrived();
    const small = smallFiles(container.files);
    for (const path of small.slice(0, CHANGED * small.length)) {
      writeFileSync(path, smallContent(Math.floor(Math.random() * 1000)));
    }
    const taken = await this.#untilArrived(() => container.session.checkpoint(never));
    this.#giveBack(container);
    return taken;
  }

  get #user(): string {
    return `user${this.#users}`;
  }

  /** A container of a new user, with the profile as its files. */
  async #use(): Promise<Container> {
    this.#users++;
    return await this.#parts.host.begin({ userId: this.#user }, (files) => renameSync(this.#tree, files));
  }

  #giveBack({ own, files }: Container): void {
    renameSync(files, this.#tree);
    rmSync(own, { recursive: true });
  }

  /** Milliseconds of the work, until its result is in S3. */
  async #untilArrived(work: () => Promise<unknown>): Promise<number> {
    execFileSync('sync');
    return await timed(async () => {
      await work();
      await this.#arrived();
    });
  }

  async #arrived(): Promise<void> {
    while (readdirSync(this.#parts.host.spool).length > 0) await pause(1);
  }

  async #empty(): Promise<void> {
    const { client, bucket: Bucket } = this.#parts;
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
      for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket, Key }));
    }
  }

  /** Runs the work, and records the maximum memory of the process in bytes. */
  async #peak<T>(peaks: number[], work: () => Promise<T>): Promise<T> {
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 5);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      peaks.push(most);
    }
  }
}

try {
  const taken = await new Bench({ root, host, client, bucket: s3.bucket }).run();
  console.log(JSON.stringify(taken));
} finally {
  await host.stop();
  client.destroy();
  server.disconnect();
  rmSync(root, { recursive: true });
}
