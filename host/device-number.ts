/** The device numbers that stat(2) reports. Source: glibc's gnu_dev_major and gnu_dev_minor, for 32 bits. */

export function majorOf(number: number): number {
  return (number >>> 8) & 0xfff;
}

export function minorOf(number: number): number {
  return (number & 0xff) | ((number >>> 12) & 0xfff00);
}
