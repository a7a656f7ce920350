/** The secrets that this process knows. They may be sent only to the services that they are meant for. */

/** Shorter values would also match harmless text, and are no real secrets. */
const SHORTEST = 8;

export class Secrets {
  readonly #secrets = new Map<string, readonly string[]>();
  #forms: readonly string[] = [];

  /** @param name the name of the secret; a later value with the same name replaces it */
  set(name: string, secret: string): void {
    if (secret.length < SHORTEST) return;
    const quoted = inJson(secret);
    const inUrl = new URLSearchParams({ '': secret }).toString().slice(1);
    this.#secrets.set(name, [quoted, inJson(quoted), encodeURIComponent(secret.toWellFormed()), inUrl]);
    // The longest first: if one secret is part of another, replacing the shorter one first would leave the rest of the
    // longer one.
    this.#forms = [...new Set([...this.#secrets.values()].flat())].sort((a, b) => b.length - a.length);
  }

  /** @param line JSON; a secret may be part of a string in it, of JSON within a string, or of a URL */
  hide(line: string): string {
    return this.#forms.reduce(
      (hidden, form) => (hidden.includes(form) ? hidden.replaceAll(form, '[secret]') : hidden),
      line,
    );
  }
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
