/** Text from elsewhere, as it may be shown: a terminal takes characters that nobody sees for orders. */

const ORDERS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** On one line. */
export function printable(text: string): string {
  return text.replace(/\s+/g, ' ').trim().replace(ORDERS, '\ufffd');
}

/** JSON on one line that means the same. */
export function printableJson(value: object): string {
  const escaped = (character: string) =>
    [...Array(character.length).keys()]
      .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join('');
  return JSON.stringify(value).replace(ORDERS, escaped);
}
