/** Formats keys like the `age` program. Source: BIP 173, without its length limit. */

const LETTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** @param prefix in lower case, without the `1` @returns the whole key in lower case */
export function bech32(prefix: string, data: Buffer): string {
  const groups = groupsOfFive(data);
  const letters = [...groups, ...checksum(prefix, groups)].map((group) => LETTERS[group]);
  return `${prefix}1${letters.join('')}`;
}

export function identityText(identity: Buffer): string {
  return bech32('age-secret-key-', identity).toUpperCase();
}

export function recipientText(recipient: Buffer): string {
  return bech32('age', recipient);
}

function groupsOfFive(data: Buffer): number[] {
  const bits = [...data].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((group) => Number.parseInt(group.padEnd(5, '0'), 2));
}

function checksum(prefix: string, groups: readonly number[]): number[] {
  const codes = [...Buffer.from(prefix)];
  const all = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...groups];
  let state = 1;
  for (const value of [...all, 0, 0, 0, 0, 0, 0]) {
    const top = state >>> 25;
    state = ((state & 0x1ffffff) << 5) ^ value;
    GENERATORS.forEach((generator, i) => {
      if ((top >> i) & 1) state ^= generator;
    });
  }
  return [25, 20, 15, 10, 5, 0].map((shift) => ((state ^ 1) >> shift) & 31);
}
