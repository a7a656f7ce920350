/** Makes text from outside safe to show: terminals interpret invisible characters as commands. */

const ORDERS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Returns the text on one line. */
export function printable(text: string): string {
  return text.replace(/\s+/g, ' ').trim().replace(ORDERS, '\ufffd');
}

/** Returns equivalent JSON on one line. */
export function printableJson(value: object): string {
  const escaped = (character: string) =>
    [...Array(character.length).keys()]
      .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join('');
  return JSON.stringify(value).replace(ORDERS, escaped);
}
