/** Parses the environment of a new container, as the user types it. */

/**
 * @param text lines of the form NAME=VALUE
 * @throws Error that quotes the line that does not have this form
 */
export function environmentIn(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      if (at < 1) throw new Error(`"${line}" must have the form NAME=VALUE`);
      return [line.slice(0, at).trim(), line.slice(at + 1)];
    }),
  );
}
