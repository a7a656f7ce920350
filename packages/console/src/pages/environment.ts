/** The environment of a new container, as a person types it. */

/** Lines NAME=VALUE. @throws Error that says which line is none */
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
