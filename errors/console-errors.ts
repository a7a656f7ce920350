/** Part of the table of errors: virtual consoles. */

export const CONSOLE_ERRORS = {
  'tty.none_free': {
    status: 503,
    text: 'all {size} virtual consoles of this host are in use; end a container, or use another host',
  },
  'tty.none_exist': {
    status: 503,
    text: 'this host has none of /dev/tty10 to /dev/tty63; it needs a kernel with virtual consoles (CONFIG_VT)',
  },
  'start.no_front_console': {
    status: 500,
    text: 'the service cannot keep its own console in the foreground: {why}; stop the program that uses /dev/tty7 to /dev/tty9 (fuser /dev/tty[789]), or set FRONT_CONSOLE=leave, which lets a container read the keys that are typed in other containers',
  },
} as const;
