/** The kernel's evdev view of a device: the host's side of what a container's program writes. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Device } from '../../uinput-native/addon.ts';

/** Type, code, value. Source: struct input_event of the kernel's input.h, on 64 bits. */
export type InputEvent = readonly [type: number, code: number, value: number];

const EVENT_SIZE = 24;

export class Evdev {
  readonly #events: InputEvent[] = [];
  readonly #reader: ChildProcess;
  #rest = Buffer.alloc(0);

  static async open(number: number): Promise<Evdev> {
    const path = `/dev/input/event${number}`;
    const evdev = new Evdev(spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] }));
    while (!evdev.#hasOpened(path)) await pause(20);
    return evdev;
  }

  private constructor(reader: ChildProcess) {
    this.#reader = reader;
    reader.stdout?.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      for (; this.#rest.length >= EVENT_SIZE; this.#rest = this.#rest.subarray(EVENT_SIZE)) {
        const rest = this.#rest;
        this.#events.push([rest.readUInt16LE(16), rest.readUInt16LE(18), rest.readInt32LE(20)]);
      }
    });
  }

  #hasOpened(path: string): boolean {
    const directory = `/proc/${this.#reader.pid}/fd`;
    return readdirSync(directory).some((fd) => {
      try {
        return readlinkSync(`${directory}/${fd}`) === path;
      } catch {
        return false; // It was closed.
      }
    });
  }

  /** Waits for that many events, and removes them from the queue. */
  async read(count: number): Promise<readonly InputEvent[]> {
    for (const patience = AbortSignal.timeout(60_000); this.#events.length < count; await pause(20)) {
      if (patience.aborted) throw new Error(`only ${this.#events.length} of ${count} events arrived`);
    }
    return this.#events.splice(0);
  }

  async close(): Promise<void> {
    this.#reader.kill();
    await once(this.#reader, 'close');
  }
}

/** Makes a device of this process report these events. */
export function inject({ fd }: Device, events: readonly InputEvent[]): void {
  const bytes = events.map(([type, code, value]) => {
    const event = Buffer.alloc(EVENT_SIZE);
    event.writeUInt16LE(type, 16);
    event.writeUInt16LE(code, 18);
    event.writeInt32LE(value, 20);
    return event;
  });
  writeSync(fd, Buffer.concat(bytes));
}

export interface FoundDevice {
  readonly sysname: string;
  readonly name: string;
  /** N of /dev/input/eventN. */
  readonly number: number;
}

const VIRTUAL = '/sys/devices/virtual/input';

/** The virtual devices that the kernel has at the moment: all belong to containers. */
export function virtualDevices(): FoundDevice[] {
  return readdirSync(VIRTUAL)
    .filter((sysname) => /^input\d+$/.test(sysname))
    .map((sysname) => ({
      sysname,
      name: readAttribute(sysname, 'name'),
      number: Number(
        readdirSync(`${VIRTUAL}/${sysname}`)
          .join()
          .match(/event(\d+)/)?.[1],
      ),
    }))
    .sort((a, b) => a.number - b.number);
}

/** @param attribute such as `id/vendor` */
export function readAttribute(sysname: string, attribute: string): string {
  return readFileSync(`${VIRTUAL}/${sysname}/${attribute}`, 'utf8').trim();
}
