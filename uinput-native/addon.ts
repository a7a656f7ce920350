/** The typed face of the native addon, which is loaded when it is first needed. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What a device is to be. */
export interface Description {
  readonly name: string;
  /** Bus type, vendor, product, version. */
  readonly ids: Uint16Array;
  /** Pairs of event type and code; the type 0xffff stands for input properties. */
  readonly bits: Uint16Array;
}

/** A device in the kernel; it lives until it is destroyed, or until nobody has its descriptor any more. */
export interface Device {
  /** Descriptor of /dev/uinput, close-on-exec; events that are written to it come from the device. */
  readonly fd: number;
  /** Its name below /sys/devices/virtual/input, never given again: `input27`. */
  readonly sysname: string;
}

/** A listening socket of the addon; nothing can be read from it. */
export interface NativeSocket {
  readonly native: never;
}

/** `lock` forbids every change of the console in front, also with a right to it, until `unlock`. */
export type ConsoleControl = 'keyboard mode' | 'activate' | 'lock' | 'unlock';

/** A port of a bridge. */
export interface BridgePort {
  /** Of its interface. */
  readonly name: string;
  readonly index: number;
  /** MAC of its end on this side. */
  readonly address: string;
  /** The id that the kernel has given to the network namespace of its other end; -1: it is in this one. */
  readonly netns: number;
  readonly isolated: boolean;
}

export interface BridgePorts {
  /** The bridge itself is the first. */
  readonly ports: readonly BridgePort[];
  /** Of the namespaces that were asked for; -1: the kernel has given none, or the namespace has gone. */
  readonly ids: readonly number[];
}

/** A thread that isolates ports; nothing can be read from it. */
export interface PortGuard {
  readonly guard: never;
}

/** All functions throw a TypeError for an argument of another type, and an Error with a `code` such as `ENOENT`. */
export interface Addon {
  /**
   * All or none.
   * @param path /dev/uinput
   * @param axisMaximum of every absolute axis; the minimum is 0
   * @param descriptions at most 8
   */
  createDevices(path: string, axisMaximum: number, descriptions: readonly Description[]): Promise<Device[]>;

  /** Also destroys what a program made of the device meanwhile. */
  destroyDevice(device: Device): Promise<void>;

  /**
   * Listens at `name` in `directory`, without keeping the process alive.
   * @param onConnection is called as long as a connection waits and the socket is not paused
   */
  openSocket(directory: string, name: string, mode: number, onConnection: () => void): NativeSocket;

  /**
   * Sends descriptors to one connection and closes it.
   * @returns true; false when whoever waited had gone; undefined when nobody waits
   * @throws Error when it cannot; the connection stays open then, and is the next to be served
   */
  handOver(socket: NativeSocket, descriptors: readonly number[]): boolean | undefined;

  pauseSocket(socket: NativeSocket): void;
  resumeSocket(socket: NativeSocket): void;
  closeSocket(socket: NativeSocket): void;

  /** Sends one datagram to a unix socket: a path, or `@` and an abstract name. Never blocks. */
  notify(socket: string, state: string): void;

  /**
   * Whether a port takes connections at each of the addresses (IPv4, 1 to 1024), asked without making one. Holds a
   * thread of libuv's until all have answered, or for that many milliseconds.
   */
  knock(addresses: readonly string[], port: number, milliseconds: number): Promise<boolean[]>;

  /**
   * @param bytes that it is to hold, as far as the kernel lets it
   * @returns descriptors of its two ends, close-on-exec: to read from, and to write to
   */
  makePipe(bytes: number): [number, number];

  /** Gives memory that was freed back to the kernel. Holds a thread of libuv's for some milliseconds. */
  trimMemory(): Promise<void>;

  /** Takes a character device from a control group of version 2. @param group its directory */
  denyDevice(group: string, major: number, minor: number): void;

  /** Limits the pseudo terminals in the devpts that a process sees at /dev/pts. @throws Error with a `code` */
  limitTerminals(pid: number, most: number): void;

  /** @param bytes that may wait in a socket for whoever reads it; without CAP_NET_ADMIN it stays as many as they were */
  setSendBuffer(socket: number, bytes: number): void;

  /**
   * @param fd of any virtual console; `keyboard mode` is about this one
   * @param number the keyboard mode (K_… of the kernel's kd.h), or the console to activate
   */
  controlConsole(fd: number, control: ConsoleControl, number: number): void;

  /**
   * @param fd of any virtual console
   * @returns N of the /dev/ttyN in front, and which of /dev/tty1 to /dev/tty15 some program has open: bit N is set
   */
  consoleState(fd: number): [number, number];

  /**
   * Removes what `name` is in `directory`, with all that is in it, by descriptors: no link is followed and no mount
   * entered, whoever changes the tree meanwhile. Takes turns with others that wait for a thread of libuv's.
   * @throws Error with the `code` ETIMEDOUT when it takes longer; the same again goes on
   */
  removeTree(directory: string, name: string, milliseconds: number): Promise<void>;

  /** @param namespaces paths of at most 63 bytes */
  listPorts(bridge: string, namespaces: readonly string[]): Promise<BridgePorts>;

  /** @param program a classic BPF program, four numbers for each of at most 4096 instructions; empty: none */
  setPort(index: number, isolated: boolean, program: Uint32Array): Promise<void>;

  /** Does not keep the process alive. */
  isolatePorts(bridge: string, onChange: () => void): PortGuard;
  /** @param program what each new port gets from now on; see `setPort` */
  filterNewPorts(guard: PortGuard, program: Uint32Array): void;
  stopIsolating(guard: PortGuard): void;

  /** Whether the filesystem of the directory holds projects to their limits. Linux 5.14. */
  keepsProjects(directory: string): boolean;

  /** @returns the first project that the filesystem knows from this one on: its number, bytes, inodes, and the limits of these */
  nextProject(directory: string, project: number): [number, number, number, number, number] | undefined;

  /** @param directory any on the filesystem @param bytes, inodes 0: no limit */
  limitProject(directory: string, project: number, bytes: number, inodes: number): void;

  /**
   * Gives the directory, and all that is in it, to a project, with what will be made there. No link is followed and no
   * mount entered; links, devices, and the like stay as they are.
   * @returns false when the directory is another project's already, and stays so
   */
  giveToProject(directory: string, project: number): Promise<boolean>;
}

const FILE = `uinput-linux-${process.arch}.node`;
/** Beside the bundle, or where make puts it for the sources. */
const PLACES = [`./${FILE}`, `../build/${FILE}`];

let loaded: Addon | undefined;

/** @throws Error when it was not built for this machine */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const path = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((one) =>
    existsSync(one),
  );
  if (!path) throw new Error(`there is no ${FILE}; run "make build"`);
  return createRequire(import.meta.url)(path);
}
