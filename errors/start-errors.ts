/** Why the service does not start, and what goes wrong after its death. A part of the table of errors. */

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
