/**
 * Runs a script on a user's files, which are hostile ground. All that it sees is one directory, the tools of the
 * host (/usr, read-only), and an empty place of its own. It is not root, has no network and no other process to
 * look at, and the kernel follows no symbolic link in that directory, whoever swaps what while it is read.
 *
 * Source: mount(8) (`nosymfollow`, Linux 5.10), unshare(1), pivot_root(8), setpriv(1). umount(8) needs /proc.
 */

import { spawn } from 'node:child_process';
import { addAbortListener, once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

export type Access = 'ro' | 'rw';

export interface Confinement {
  /** An empty directory of root's; what is mounted there, nobody else sees. */
  readonly view: string;
  /** The directory that the script finds as `tree` in its working directory. */
  readonly tree: string;
  readonly access: Access;
  /** Ids of the user and the group that it runs as. */
  readonly user: number;
  /** What it may do beyond that, within what it sees: a capability such as `dac_read_search`. */
  readonly capability?: string;
  /** For bash. */
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Descriptor that the script writes to; undefined: nobody reads it. */
  readonly output?: number | undefined;
}

export interface Confined {
  readonly input: Writable;
  /** What the script writes to its descriptor 3. */
  readonly signs: Readable;
  /** How it ended: the script's exit code, or 128 when it was killed; and the end of what it said. */
  readonly ended: Promise<{ readonly code: number; readonly said: string }>;
}

/** It may be large: when the host runs out of memory, it is not spared as the service is. */
const ENTER = `set -eu
echo 0 2> /dev/null > /proc/self/oom_score_adj || :
view=$1 tree=$2 access=$3 user=$4 capabilities=$5 script=$6
mount -t tmpfs -o mode=1777,nosuid,nodev,size=25% tmpfs "$view"
cd "$view"
mkdir usr dev tree old proc
mount --bind -o ro,nosuid,nodev /usr usr
ln -s usr/bin usr/sbin usr/lib usr/lib64 .
: > dev/null
mount --bind /dev/null dev/null
mount --bind -o "$access,nosymfollow,nosuid,nodev,noexec" "$tree" tree
mount -t proc proc proc
pivot_root . old
umount -l /old /proc
rmdir old proc
exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \\
  --inh-caps="-all$capabilities" --ambient-caps="-all$capabilities" --bounding-set="-all$capabilities" \\
  bash -c "$script"`;

const NAMESPACES = '--mount --propagation=private --pid --fork --kill-child --net --ipc --uts'.split(' ');

/** Characters of what a script says that are kept: the last ones. */
const MOST_SAID = 2000;

/** Starts it. It is killed, with whatever it started, when `signal` aborts. */
export function runConfined(confinement: Confinement, signal: AbortSignal): Confined {
  const { view, tree, access, user, capability, script, environment, output = 'ignore' } = confinement;
  const capabilities = capability ? `,+${capability}` : '';
  const words = [view, tree, access, String(user), capabilities, script];
  const child = spawn('unshare', [...NAMESPACES, 'sh', '-c', ENTER, 'enter', ...words], {
    env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin', LC_ALL: 'C', ...environment },
    stdio: ['pipe', output, 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  closed.catch(() => {});
  const { stdin: input, stderr: errors, stdio } = child;
  if (!input || !errors) throw new Error('no child can be started: too many files are open');
  const ended = async () => {
    using _ = addAbortListener(signal, () => child.kill('SIGKILL'));
    const [code, by] = await closed;
    return { code: Number(code ?? 128), said: by ? `killed by ${by}` : said.trim() };
  };
  let said = '';
  errors.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MOST_SAID);
  });
  return { input, signs: stdio[3] as Readable, ended: ended() };
}
