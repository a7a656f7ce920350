/** The secrets that this process knows and that must leave it nowhere but to those whom they are for. */

/** What is shorter would hit innocent text, and is no secret either. */
const SHORTEST = 8;

export class Secrets {
  #forms: readonly string[] = [];

  add(secret: string): void {
    if (secret.length < SHORTEST) return;
    const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
    this.#forms = [...new Set([...this.#forms, ...forms])];
  }

  /** @param text may hold a secret as it is, within JSON, or within a URL */
  hide(text: string): string {
    return this.#forms.reduce(
      (hidden, form) => (hidden.includes(form) ? hidden.replaceAll(form, '[secret]') : hidden),
      text,
    );
  }
}
