/**
 * Packs a tree of a user's files into a stream and unpacks it: tar in zstd, with the host's tools in a confined child.
 * The files are hostile input. Regular files, directories and symbolic links are archived as they are. Sockets, FIFOs,
 * devices, and paths that are too long to be opened are left out. docs/user-config-format.md describes the content.
 */

import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import { CONTAINER_USER } from '../host/directories.ts';
import { releasing } from '../lifetime/released-buffers.ts';
import { makePipe } from '../uinput-native/pipe.ts';
import { type Confined, runConfined } from './confined.ts';
import { DamagedError } from './damaged.ts';

/** The working place of a confined child. */
export interface Place {
  /** The directory to pack, or to unpack into. */
  readonly tree: string;
  /** An empty directory that only root can enter, on which the child mounts its view of the filesystem. */
  readonly view: string;
  /** The maximum size of the files as one tar archive, in bytes. */
  readonly limit: number;
}

/** Packing runs as nobody, with a capability to read everything in the view. */
const READER = { user: 65_534, capability: 'dac_read_search', access: 'ro' } as const;
/** Unpacking runs as the container's user, regardless of file modes. */
const WRITER = { user: CONTAINER_USER, capability: 'dac_override', access: 'rw' } as const;

const TOO_LARGE = 70;
const UNCHANGED = 71;
/** The capacity of the pipes between the tools and their readers, in bytes. */
const PIPE = 2 ** 20;
const RECORD_BLOCKS = 128;

/**
 * tar itself counts records of 64 KiB and stops at the limit, because a separate process that counts all bytes would be
 * slow.
 */
const COUNTING = `set -uo pipefail
count=(-b ${RECORD_BLOCKS} "--checkpoint=$((LIMIT / 512 / ${RECORD_BLOCKS} + 1))" '--checkpoint-action=exec=kill -USR1 $PPID')
is_at_limit() { [ "$(kill -l "$1")" = USR1 ]; }
`;

/**
 * A path of 3900 bytes can still be opened below another directory. Exit code 1 of tar means that a file changed while
 * it was read, which is normal. zstd's --fast=1 takes half the CPU time of -1 for archives that are a ninth larger; the
 * other containers of the host need the CPU more.
 */
const PACK = `${COUNTING}too_long="$(printf '?%.0s' {1..3900})*"
list() { find tree -ignore_readdir_race -xdev -path "$too_long" -prune -o '(' -type f -o -type d -o -type l ')' "$@"; }
go_on_if() {
  [ "$1" ] || exit ${UNCHANGED}
  echo >&3
  exec 3>&-
}
pack() {
  tar -c "\${count[@]}" --format=posix --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='user.*' \\
    --sparse --numeric-owner --no-recursion --null --verbatim-files-from "$@" | zstd -q --fast=1 --no-check --single-thread -c
  local codes=("\${PIPESTATUS[@]}")
  ! is_at_limit "\${codes[0]}" || exit ${TOO_LARGE}
  [ "\${codes[0]}" -le 1 ] && [ "\${codes[1]}" = 0 ]
}
read -r
`;

const PACK_ALL = `${PACK}changed=unknown
[ -z "$SAVED" ] || changed=$(list -newerct "@$SAVED" -printf yes -quit) || exit 1
go_on_if "$changed"
list -print0 | pack -T -`;

/**
 * Files of a running container are in use, and packing must not slow that down. A file that disappears before it is
 * read is no error. If a directory disappears while it is listed, find cannot tell that from a failing disk, so files
 * count as deleted only if the list is complete. The files are listed once, because if little has changed, listing
 * takes longer than everything else.
 */
const LIVING = `${PACK}
renice -n 10 $$ > /dev/null
look() {
  for attempt in {1..5}; do
    list '(' "$@" , -newerct "@\${SAVED:-0}" -fprintf changed y ')' || continue
    go_on_if "$(< changed)"
    return
  done
  exit 1
}
`;

const PACK_LIVING = `${LIVING}
look -fprint0 list
pack --ignore-failed-read -T list`;

const PACK_CHANGES = `${LIVING}
look -newerct "@$SINCE" -fprint0 list , ! -path tree -fprintf names '%y%P\\0'
sort -z -o names names || exit 1
pack --ignore-failed-read names -T list`;

/**
 * The members are below `tree`, which is a mount point here, so tar cannot replace it, whatever the type of a member
 * with that name. Files of other types, such as FIFOs, are removed before anything is used.
 */
const UNPACK = `${COUNTING}unpack() {
  $READ | tar -x "\${count[@]}" -p --no-same-owner --xattrs --xattrs-include='user.*' --delay-directory-restore "$@"
  local codes=("\${PIPESTATUS[@]}")
  ! is_at_limit "\${codes[1]}" || exit ${TOO_LARGE}
  [ "\${codes[0]}" = 0 ] && [ "\${codes[1]}" = 0 ] || exit 1
  find tree '!' '(' -type f -o -type d -o -type l ')' -delete || exit 1
}
`;

const UNPACK_ALL = `${UNPACK}
READ='zstd -q -dc'
unpack tree`;

/** The predecessor's archives have no directory above the files. */
const UNPACK_OLD = `${UNPACK}
READ='lz4 -q -dc'
unpack -C tree`;

const UNPACK_CHANGES = `${UNPACK}
READ='zstd -q -dc'
changes=$(mktemp -d tree/.changes-XXXXXXXXXXXXXXXX) || exit
unpack -C "$changes" names tree
is_a() { [ "$1" "$2" ] && [ ! -L "$2" ] || { echo "\${2##*/} is missing, or of another type" >&2; exit 1; }; }
is_a -f "$changes/names"
is_a -d "$changes/tree"
(cd tree && find . -mindepth 1 -path "./\${changes#*/}" -prune -o -printf '%y%P\\0') | sort -z |
  comm -z -23 - "$changes/names" | cut -z -c 2- | (cd tree && xargs -0 -r rm -rf --) || exit
cp -a --remove-destination "$changes/tree/." tree/ && rm -rf "$changes"`;

const UNPACKING = { all: UNPACK_ALL, changes: UNPACK_CHANGES, old: UNPACK_OLD } as const;

/** A time by the clock of the files: seconds with nine decimals. */
export type Moment = string;

/**
 * `all`: all files, which no process changes. `living`: all files of a running container. `since`: the files of a
 * running container that changed since that time.
 */
export type Extent = 'all' | 'living' | { readonly since: Moment };

const TOOLS = 'tar zstd lz4 find sort comm cut xargs cp mktemp renice';
const FIND_TOOLS = `for tool in ${TOOLS}; do
  command -v "$tool" > /dev/null || { echo "$tool is missing" >&2; exit 1; }
done`;

/** What to pack, and the time of the last save; with a time, it is packed only if something changed since. */
export interface PackingTask {
  readonly place: Place;
  readonly extent: Extent;
  readonly saved?: Moment | undefined;
}

/** A child process that packs. */
export class PackingChild implements AsyncDisposable {
  /** The descriptor to read the archive from, valid until the child is disposed. */
  readonly archive: number;
  readonly #child: Confined;
  readonly #limit: number;
  readonly #signal: AbortSignal;

  /** @param signal kills the child @throws Error with a `code` */
  constructor({ place, extent, saved = '' }: PackingTask, signal: AbortSignal) {
    const { reader, writer } = makePipe(PIPE);
    const [script, SINCE = ''] =
      typeof extent === 'string' ? [extent === 'all' ? PACK_ALL : PACK_LIVING] : [PACK_CHANGES, extent.since];
    try {
      this.#child = start(place, READER, script, { SINCE, SAVED: saved }, signal, writer);
    } catch (error) {
      closeSync(reader);
      throw error;
    } finally {
      closeSync(writer);
    }
    this.archive = reader;
    this.#limit = place.limit;
    this.#signal = signal;
  }

  /**
   * Makes the child check whether there is something to pack, and starts the packing.
   * @throws {ServiceError} `config.not_packed`, or the reason of its signal
   */
  async look(): Promise<boolean> {
    const { input, signs, ended } = this.#child;
    // If the child has exited, its exit code says why.
    input.on('error', () => {}).end();
    const end = await Promise.race([once(signs, 'data').then(() => undefined), ended]);
    this.#signal.throwIfAborted();
    if (end?.code === UNCHANGED) return false;
    if (end) await this.done();
    return true;
  }

  /**
   * Resolves when the whole archive was read and is complete.
   * @throws {ServiceError} `config.*`, or the reason of its signal
   */
  async done(): Promise<void> {
    const { code, said } = await this.#child.ended;
    this.#signal.throwIfAborted();
    if (code === TOO_LARGE) throw new ServiceError('config.too_large', { limit: this.#limit });
    if (code !== 0) throw new ServiceError('config.not_packed', { why: said || `exit code ${code}` });
  }

  /** To be called when the child has ended and nothing reads the archive. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.ended.catch(() => {});
    closeSync(this.archive);
  }
}

/**
 * Unpacks a full archive into an empty directory, or afterwards an archive of changes into the same directory. Whatever
 * the archive contains, no file of the host can get into the directory. After a failure, its content is unusable.
 * @param archive its buffers are freed
 * @param what `old`: all files, as the predecessor packed them (tar in lz4)
 * @throws {DamagedError} when `pack` did not make it, or what `archive` fails with
 * @throws {ServiceError} `config.too_large`
 */
export async function unpack(
  place: Place,
  what: keyof typeof UNPACKING,
  archive: Readable,
  signal: AbortSignal,
): Promise<void> {
  const broken = new AbortController();
  const child = start(place, WRITER, UNPACKING[what], {}, AbortSignal.any([signal, broken.signal]));
  const failure = await pipeline(archive, releasing(child.input)).catch((error: unknown) => error);
  // If the child stopped reading, its exit code says why.
  const isChilds = isSystemError(failure, 'EPIPE') || isSystemError(failure, 'ERR_STREAM_PREMATURE_CLOSE');
  if (failure && !isChilds) broken.abort();
  const { code, said } = await child.ended;
  signal.throwIfAborted();
  if (failure && !isChilds) throw failure;
  if (code === TOO_LARGE) throw new ServiceError('config.too_large', { limit: place.limit });
  // A child that stopped reading early has not seen the end of the archive, which proves that it is complete.
  if (code !== 0 || failure)
    throw new DamagedError(`the archive cannot be unpacked: ${said || `exit code ${code}`}`);
}

/**
 * Checks that a confined child can work on this host. It creates nothing outside the child, because this process may be
 * killed meanwhile.
 * @param tree a directory that the child may see @param view another one that only root can enter
 * @throws {ServiceError} `start.no_config_tools`
 */
export async function checkTools(tree: string, view: string): Promise<void> {
  const child = start({ tree, view, limit: 0 }, READER, FIND_TOOLS, {}, new AbortController().signal);
  child.input.end();
  const { code, said } = await child.ended;
  if (code !== 0) throw new ServiceError('start.no_config_tools', { why: said || `exit code ${code}` });
}

function start(
  { tree, view, limit }: Place,
  who: typeof READER | typeof WRITER,
  script: string,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
  output?: number,
): Confined {
  const LIMIT = String(limit);
  return runConfined({ tree, view, ...who, script, environment: { LIMIT, ...environment }, output }, signal);
}
