/**
 * The scope of systemd in which a shell on the host runs. In the unit of the service, systemd would end it in each restart.
 * A scope has the unit's limits for devices, and not its directory for temporary files, which systemd removes.
 *
 * Source: systemd-run(1), systemd.scope(5), systemd.kill(5).
 */

const PREFIX = 'ecs-host-service-shell-';

/** The pattern for all scopes of shells. */
export const SHELL_SCOPES = `${PREFIX}*.scope`;

const PROPERTIES = [
  // Shells ignore SIGTERM.
  'SendSIGHUP=yes',
  'TimeoutStopSec=1',
  'DevicePolicy=closed',
  'DeviceAllow=char-pts rw',
];

/** Removes the unit's private directories from the shell's own mounts, which shows those of the host. */
const SHOW_TEMPORARY = `
  for place in /tmp /var/tmp; do
    grep -q "/systemd-private-[^ ]* $place " /proc/self/mountinfo && umount --lazy "$place"
  done
  exec "$@"`;

/** @returns the words that run others in the scope of this terminal, in the same process */
export function inScope(terminal: string): string[] {
  return [
    ...['systemd-run', '--scope', '--quiet', '--collect', `--unit=${PREFIX}${terminal}.scope`],
    ...PROPERTIES.map((property) => `--property=${property}`),
    ...['--', 'unshare', '--mount', '--propagation', 'slave', '--', 'sh', '-c', SHOW_TEMPORARY, 'sh'],
  ];
}
