/** The secrets that this process knows and that must leave it nowhere but to those whom they are for. */

/** What is shorter would hit innocent text, and is no secret either. */
const SHORTEST = 8;

export class Secrets {
  readonly #secrets = new Map<string, readonly string[]>();
  #forms: readonly string[] = [];

  /** @param name what the secret is; another one of the same name takes its place */
  set(name: string, secret: string): void {
    if (secret.length < SHORTEST) return;
    const quoted = inJson(secret);
    const inUrl = new URLSearchParams({ '': secret }).toString().slice(1);
    this.#secrets.set(name, [quoted, inJson(quoted), encodeURIComponent(secret.toWellFormed()), inUrl]);
    // The longest first: a part of it would leave the rest.
    this.#forms = [...new Set([...this.#secrets.values()].flat())].sort((a, b) => b.length - a.length);
  }

  /** @param line JSON, in which a secret may be part of a string, of JSON within a string, or of a URL */
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
