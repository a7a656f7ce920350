/** An amount of something: a number of bytes, or a percentage of the total. */

import { bytes } from './parsers.ts';

export type Amount = { readonly bytes: number } | { readonly percent: number };

export function amountOrNone(text: string): Amount | undefined {
  if (text === 'none') return undefined;
  const [, percent] = /^(\d{1,2})%$/.exec(text) ?? [];
  if (percent !== undefined && Number(percent) > 0) return { percent: Number(percent) };
  try {
    return { bytes: bytes(text) };
  } catch {
    throw new Error(`must be a number of bytes such as 6GiB, a share such as 50%, or none; got "${text}"`);
  }
}

/** @param whole the total that a percentage refers to, in bytes */
export function bytesOf(amount: Amount, whole: number): number;
export function bytesOf(amount: Amount | undefined, whole: number): number | undefined;
export function bytesOf(amount: Amount | undefined, whole: number): number | undefined {
  if (amount === undefined) return undefined;
  return 'bytes' in amount ? amount.bytes : Math.floor((whole * amount.percent) / 100);
}
