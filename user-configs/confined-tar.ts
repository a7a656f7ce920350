/**
 * A tree of a user's files as a stream, and back: tar in zstd, by the tools of the host in a confined child.
 * What a user's programs can leave there is hostile, what it becomes must not be: regular files, directories and
 * symbolic links are taken, each as itself; sockets, FIFOs, devices, and paths longer than a program can open are
 * left out. docs/user-config-format.md tells what is inside.
 */

import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import { CONTAINER_USER } from '../host/directories.ts';
import { releasing } from '../lifetime/released-buffers.ts';
import { makePipe } from '../uinput-native/pipe.ts';
import { type Confined, runConfined } from './confined.ts';
import { DamagedError } from './damaged.ts';

/** Where a confined child works. */
export interface Place {
  /** The directory that is packed, or into which is unpacked. */
  readonly tree: string;
  /** An empty directory of root's, on which the child mounts what it sees. */
  readonly view: string;
  /** Bytes that the files may have as one tar archive. */
  readonly limit: number;
}

/** Who reads is nobody, and may read everything that is seen. */
const READER = { user: 65_534, capability: 'dac_read_search', access: 'ro' } as const;
/** Who writes is the container's user, whatever the modes of what is there. */
const WRITER = { user: CONTAINER_USER, capability: 'dac_override', access: 'rw' } as const;

const TOO_LARGE = 70;
const UNCHANGED = 71;
/** Bytes that wait between tools and whoever reads what they make. */
const PIPE = 2 ** 20;
const RECORD_BLOCKS = 128;

/** tar itself counts, by records of 64 KiB, and ends at the limit: whoever passes on all bytes to count them takes long. */
const COUNTING = `set -uo pipefail
count=(-b ${RECORD_BLOCKS} "--checkpoint=$((LIMIT / 512 / ${RECORD_BLOCKS} + 1))" '--checkpoint-action=exec=kill -USR1 $PPID')
is_at_limit() { [ "$(kill -l "$1")" = USR1 ]; }
`;

/**
 * 3900 bytes is as long as a path can be that can still be opened below another directory. tar's exit code 1 is a
 * file that changed while it was read, as files do. zstd's --fast=1 takes half the processor time of its -1, for archives
 * that are a ninth larger: the other containers of the host need it more.
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
 * Living files are in use, which is not to be slowed down, and one that is gone before it is read is no fault. Of
 * directories that go while they are listed find knows no better than of a disk that fails; only a list that is whole
 * may say what is to be taken away. They are listed once: that takes longer than anything else, where little changed.
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
 * The members are below `tree`, which is a mount point here: tar cannot replace it, whatever a member of that name is.
 * What is none of ours (a FIFO, say) is taken away again before anything is used.
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

/** A moment on the clock of the files: seconds with nine decimals. */
export type Moment = string;

/** All files, which nobody changes; all files as they live; or what changed among living ones from a moment on. */
export type Extent = 'all' | 'living' | { readonly since: Moment };

const TOOLS = 'tar zstd lz4 find sort comm cut xargs cp mktemp renice';
const FIND_TOOLS = `for tool in ${TOOLS}; do
  command -v "$tool" > /dev/null || { echo "$tool is missing" >&2; exit 1; }
done`;

/** What is packed, and when it was saved last; then it is packed only if something changed since. */
export interface PackingTask {
  readonly place: Place;
  readonly extent: Extent;
  readonly saved?: Moment | undefined;
}

/** A child that packs. */
export class PackingChild implements AsyncDisposable {
  /** Descriptor to read the archive from, until the child is disposed. */
  readonly archive: number;
  readonly #child: Confined;
  readonly #limit: number;
  readonly #signal: AbortSignal;

  /** @param signal kills it @throws Error with a `code` */
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

  /** Looks, not before, whether there is something to pack. @throws {ServiceError} `config.not_packed`, or the reason of its signal */
  async look(): Promise<boolean> {
    const { input, signs, ended } = this.#child;
    // One that has ended says why itself.
    input.on('error', () => {}).end();
    const end = await Promise.race([once(signs, 'data').then(() => undefined), ended]);
    if (end?.code === UNCHANGED) return false;
    if (end) await this.done();
    return true;
  }

  /** Resolves when all of the archive was read and is sound. @throws {ServiceError} `config.*`, or the reason of its signal */
  async done(): Promise<void> {
    const { code, said } = await this.#child.ended;
    this.#signal.throwIfAborted();
    if (code === TOO_LARGE) throw new ServiceError('config.too_large', { limit: this.#limit });
    if (code !== 0) throw new ServiceError('config.not_packed', { why: said || `exit code ${code}` });
  }

  /** When it has ended, and nobody reads any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.ended.catch(() => {});
    closeSync(this.archive);
  }
}

/**
 * Unpacks all files into an empty directory; then, into the same, changes relative to them. Nothing of the host can come
 * into it, whatever the archive is. After a failure, what is there is worth nothing.
 * @param archive its buffers are released
 * @param what `old`: all files, as the predecessor packed them (tar in lz4)
 * @throws {DamagedError} when it is not what `pack` made, or what `archive` fails with
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
  // One that stopped reading says why itself.
  const isChilds = isSystemError(failure, 'EPIPE') || isSystemError(failure, 'ERR_STREAM_PREMATURE_CLOSE');
  if (failure && !isChilds) broken.abort();
  const { code, said } = await child.ended;
  signal.throwIfAborted();
  if (failure && !isChilds) throw failure;
  if (code === TOO_LARGE) throw new ServiceError('config.too_large', { limit: place.limit });
  // One that has read enough for itself has not seen the end, by which an archive is known to be whole.
  if (code !== 0 || failure)
    throw new DamagedError(`the archive cannot be unpacked: ${said || `exit code ${code}`}`);
}

/**
 * Sees that a confined child can do its work here.
 * @param directory of root's, for a moment
 * @throws {ServiceError} `start.no_config_tools`
 */
export async function checkTools(directory: string): Promise<void> {
  const place = await mkdtemp(join(directory, 'check-'));
  try {
    const tree = join(place, 'tree');
    const view = join(place, 'view');
    await mkdir(tree);
    await mkdir(view);
    const child = start({ tree, view, limit: 0 }, READER, FIND_TOOLS, {}, new AbortController().signal);
    child.input.end();
    const { code, said } = await child.ended;
    if (code !== 0) throw new ServiceError('start.no_config_tools', { why: said || `exit code ${code}` });
  } finally {
    await rm(place, { recursive: true });
  }
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
