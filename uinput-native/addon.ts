/** The typed interface of the native addon, which is loaded on first use. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The properties of a device to create. */
export interface Description {
  readonly name: string;
  /** Bus type, vendor, product, version. */
  readonly ids: Uint16Array;
  /** Pairs of event type and code; the type 0xffff stands for input properties. */
  readonly bits: Uint16Array;
}

/** A device in the kernel. It exists until it is destroyed or its last descriptor is closed. */
export interface Device {
  /** A descriptor of /dev/uinput, close-on-exec. Events that are written to it come from the device. */
  readonly fd: number;
  /** Its name below /sys/devices/virtual/input, such as `input27`. The kernel never reuses a name. */
  readonly sysname: string;
}

/** A listening socket of the addon. The object is opaque. */
export interface NativeSocket {
  readonly native: never;
  /** Close-on-exec. */
  readonly fd: number;
}

/** `lock` blocks every console switch, even by privileged programs, until `unlock`. */
export type ConsoleControl = 'keyboard mode' | 'activate' | 'lock' | 'unlock';

/** A port of a bridge. */
export interface BridgePort {
  /** The name of its interface. */
  readonly name: string;
  readonly index: number;
  /** The MAC address of its end in this namespace. */
  readonly address: string;
  /**
   * The id that the kernel has assigned to the network namespace of the other end; -1: the other end is in this
   * namespace.
   */
  readonly netns: number;
  readonly isolated: boolean;
}

export interface BridgePorts {
  /** The first one is the bridge itself. */
  readonly ports: readonly BridgePort[];
  /** The ids of the requested namespaces; -1: the kernel has assigned none, or the namespace no longer exists. */
  readonly ids: readonly number[];
}

/** A thread that isolates ports. The object is opaque. */
export interface PortGuard {
  readonly guard: never;
}

/**
 * All functions throw a TypeError for an argument of the wrong type, and an Error with a `code` such as `ENOENT` for a
 * failure.
 */
export interface Addon {
  /**
   * Creates all devices or none.
   * @param path /dev/uinput
   * @param axisMaximum the maximum of every absolute axis; the minimum is 0
   * @param descriptions at most 8
   */
  createDevices(path: string, axisMaximum: number, descriptions: readonly Description[]): Promise<Device[]>;

  /** Also destroys a device that a program with the descriptor has created instead of the original one. */
  destroyDevice(device: Device): Promise<void>;

  /** The device that another process created. @param fd its descriptor, which this process has received */
  adoptDevice(fd: number): Device;

  /**
   * Listens at `name` in `directory`. The socket does not keep the process alive.
   * @param onConnection called while a connection waits and the socket is not paused
   */
  openSocket(directory: string, name: string, mode: number, onConnection: () => void): NativeSocket;

  /** Like `openSocket`, for a socket that listens already. @param fd stays open if this throws */
  adoptSocket(fd: number, onConnection: () => void): NativeSocket;

  /**
   * Sends descriptors to one waiting connection and closes it.
   * @returns true if they were sent; false if the peer had closed; undefined if no connection waits
   * @throws Error if sending fails; the connection then stays open and is served next
   */
  handOver(socket: NativeSocket, descriptors: readonly number[]): boolean | undefined;

  pauseSocket(socket: NativeSocket): void;
  resumeSocket(socket: NativeSocket): void;
  closeSocket(socket: NativeSocket): void;

  /** Sends one datagram to a unix socket: a path, or `@` and an abstract name. Never blocks. */
  notify(socket: string, state: string): void;

  /**
   * Like `notify`, but waits at most two seconds for a receiver whose queue is full.
   * @param descriptor sent along; -1: none
   */
  notifyWith(socket: string, state: string, descriptor: number): void;

  /**
   * Tests whether a port accepts connections at each of the addresses (IPv4, 1 to 1024) without establishing one.
   * Occupies a libuv thread until all have answered or `milliseconds` have passed.
   */
  knock(addresses: readonly string[], port: number, milliseconds: number): Promise<boolean[]>;

  /**
   * @param bytes the requested capacity, up to the kernel's limit
   * @returns the descriptors of the read end and the write end, close-on-exec
   */
  makePipe(bytes: number): [number, number];

  /** Returns freed memory to the kernel. Occupies a libuv thread for some milliseconds. */
  trimMemory(): Promise<void>;

  /** Denies a control group of version 2 access to a character device. @param group its directory */
  denyDevice(group: string, major: number, minor: number): void;

  /**
   * Limits the pseudo-terminals of the devpts instance that the process sees at /dev/pts.
   * @throws Error with a `code`
   */
  limitTerminals(pid: number, most: number): void;

  /** @param bytes the maximum of unread bytes in the socket; without CAP_NET_ADMIN the limit stays unchanged */
  setSendBuffer(socket: number, bytes: number): void;

  /** The programs that this process starts do not inherit the descriptor. */
  closeOnExec(fd: number): void;

  /**
   * @param fd of any virtual console; `keyboard mode` applies to this one
   * @param number the keyboard mode (K_… of the kernel's kd.h), or the console to activate
   */
  controlConsole(fd: number, control: ConsoleControl, number: number): void;

  /**
   * @param fd of any virtual console
   * @returns N of the foreground /dev/ttyN, and a bit mask: bit N is set if a program has /dev/ttyN open, for 1 to 15
   */
  consoleState(fd: number): [number, number];

  /**
   * Removes the entry `name` of `directory` and everything in it. It uses descriptors only, does not follow links or
   * enter mounts, and is safe while other programs change the tree. It yields its libuv thread regularly.
   * @throws Error with the `code` ETIMEDOUT when the time is over; another call continues
   */
  removeTree(directory: string, name: string, milliseconds: number): Promise<void>;

  /** @param namespaces paths of at most 63 bytes */
  listPorts(bridge: string, namespaces: readonly string[]): Promise<BridgePorts>;

  /** @param program a classic BPF program, four numbers for each of at most 4096 instructions; empty: no filter */
  setPort(index: number, isolated: boolean, program: Uint32Array): Promise<void>;

  /** The thread does not keep the process alive. */
  isolatePorts(bridge: string, onChange: () => void): PortGuard;
  /** @param program the filter of each new port from now on; see `setPort` */
  filterNewPorts(guard: PortGuard, program: Uint32Array): void;
  stopIsolating(guard: PortGuard): void;

  /** Whether the filesystem of the directory enforces project quotas. Needs Linux 5.14. */
  keepsProjects(directory: string): boolean;

  /**
   * @returns the first project with a number of at least `project`: its number, its bytes and inodes, and their limits
   */
  nextProject(directory: string, project: number): [number, number, number, number, number] | undefined;

  /** @param directory any directory on the filesystem @param bytes, inodes 0: no limit */
  limitProject(directory: string, project: number, bytes: number, inodes: number): void;

  /**
   * Assigns the directory and everything in it, now and later, to a project. It does not follow links or enter mounts,
   * and skips links, devices and similar files.
   * @returns false if the directory belongs to another project, and stays unchanged
   */
  giveToProject(directory: string, project: number): Promise<boolean>;
}

const FILE = `uinput-linux-${process.arch}.node`;
/** The addon is beside the bundle, or in the build directory for the sources. */
const PLACES = [`./${FILE}`, `../build/${FILE}`];

let loaded: Addon | undefined;

/** @throws Error when the addon is missing or was not built for this machine */
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
