/**
 * Runs a script on a user's files, which are hostile input. The script sees one directory, the host's tools (/usr,
 * read-only), and an empty directory of its own. It is not root, has no network, and sees no other processes. The
 * kernel follows no symbolic link in the directory, even if links are swapped at the same time.
 *
 * Source: mount(8) (`nosymfollow`, Linux 5.10), unshare(1), pivot_root(8), setpriv(1). umount(8) needs /proc.
 */

import { spawn } from 'node:child_process';
import { addAbortListener, once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

export type Access = 'ro' | 'rw';

export interface Confinement {
  /** A directory that only root can enter. The script's view is mounted on it, and other processes do not see that. */
  readonly view: string;
  /** The directory that appears as `tree` in the script's working directory. */
  readonly tree: string;
  readonly access: Access;
  /** The user id and group id of the script. */
  readonly user: number;
  /** A capability that it has within its view, such as `dac_read_search`. */
  readonly capability?: string;
  /** A bash script. */
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The descriptor that the script writes to; undefined: its output is discarded. */
  readonly output?: number | undefined;
}

export interface Confined {
  readonly input: Writable;
  /** The output on the script's descriptor 3. */
  readonly signs: Readable;
  /** The script's exit code, or 128 when it was killed, and the last part of its messages. */
  readonly ended: Promise<{ readonly code: number; readonly said: string }>;
}

/**
 * Resets the OOM score, because the script may use much memory and must not be protected from the OOM killer as the
 * service is.
 */
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

/** The maximum number of characters that are kept of the script's messages, the last ones. */
const MOST_SAID = 2000;

/** Starts the script. When `signal` aborts, the script and its children are killed. */
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
