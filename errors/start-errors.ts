/** Part of the table of errors: the start of the service, and the clean-up after its crash. */

export const START_ERRORS = {
  'start.not_root': {
    status: 500,
    text: 'the service must run as root, because it uses Docker, consoles and devices; start it with sudo',
  },
  'start.settings': { status: 500, text: 'these settings cannot be used:\n{problems}' },
  'service.died': { status: 500, text: 'the service died: {cause}' },
  'bury.no_wait': {
    status: 500,
    text: 'the unit {unit}, which hosts containers in use until they have ended, cannot be started; install it, then run "systemctl start {unit}"',
  },
  'handover.unreadable': {
    status: 500,
    text: '{path} cannot be used: {why}; another version of this service wrote it, or it is damaged, so unassigned containers are removed as after a crash',
  },
  'handover.rolled_back': {
    status: 500,
    text: 'the new version did not take the host over ({cause}), so the previous version was restored and takes over; find the cause in the log of the new version, correct it, and install the new version again',
  },
  'upgrade.not_installed': {
    status: 500,
    text: 'this program is not the installed one, so there is nothing to upgrade; install it with install.sh and run "ecs-host-service upgrade"',
  },
  'upgrade.no_previous': {
    status: 500,
    text: 'there is no {previous}: the version before the installed one was not kept; install the version that you want, then run "ecs-host-service upgrade"',
  },
  'upgrade.not_running': {
    status: 500,
    text: '{unit} is {state}, so there is nothing to hand over; run "systemctl start {unit}"',
  },
  'upgrade.failed': {
    status: 500,
    text: '{unit} is {state} after the restart; "journalctl --unit {unit}" says why',
  },
  'upgrade.rolled_back': {
    status: 500,
    text: 'the new version did not start, so the previous version was restored and has taken the host over; "journalctl --unit {unit}" says why',
  },
  'handover.late': {
    status: 500,
    text: 'the service did not take the host over within {seconds} s; look for the last "step done" in its log',
  },
  'start.locked': {
    status: 500,
    text: 'another copy of the service{owner} runs on {root}; stop that copy first, or give this one a ROOT of its own',
  },
  'start.filesystem': {
    status: 500,
    text: 'cannot prepare {path}: {why}; make it a directory that root can write to',
  },
  'start.listen': {
    status: 500,
    text: 'cannot listen on {address}:{port}: {why}; stop what listens there (ss -ltnp "sport = :{port}") or set LISTEN_PORT',
  },
  'start.certificate': {
    status: 500,
    text: 'the TLS certificate cannot be used: {why}; check TLS_CERT_FILE and TLS_KEY_FILE',
  },
  'start.no_input_devices': {
    status: 500,
    text: 'this host cannot give input devices to containers: {why}; to host containers without them, set INPUT_DEVICES=optional',
  },
  'start.no_config_tools': {
    status: 500,
    text: "this host cannot pack and unpack users' files: {why}; install what is missing (Linux 5.10, util-linux, tar, zstd and lz4: apt-get install zstd lz4), or set USER_CONFIG_BUCKET=none",
  },
} as const;
