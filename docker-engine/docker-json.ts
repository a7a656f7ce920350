/**
 * Reads JSON as Docker reads it. Go's decoder ignores the case of field names, and takes or merges both values of a
 * duplicate field. So this keeps all members of an object and normalises their names before any rule is applied.
 * Source: the documentation of Go's encoding/json, and RFC 8259.
 */

import { ServiceError } from '../errors/service-error.ts';

/** The members of an object in order, including duplicates. */
export class Members {
  readonly list: readonly (readonly [string, Tree])[];

  constructor(list: readonly (readonly [string, Tree])[]) {
    this.list = list;
  }
}

export type Tree = null | boolean | number | string | readonly Tree[] | Members;

/** No legitimate body is nested more deeply. */
const DEEPEST = 100;

/**
 * The parsed value, and whether other text follows it. Docker reads the first value of a body; newer versions refuse
 * additional text.
 */
export interface Read {
  readonly tree: Tree;
  readonly isAlone: boolean;
}

/**
 * @throws {SyntaxError} when it is not JSON, which Docker refuses too
 * @throws {ServiceError} `create.bad_body` when it is nested too deeply
 */
export function readJson(text: string): Read {
  const reader = new Reader(text);
  const tree = reader.value(0);
  return { tree, isAlone: reader.isAtEnd() };
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    this.#space();
    return this.#at === this.#text.length;
  }

  value(depth: number): Tree {
    if (depth > DEEPEST) throw new ServiceError('create.bad_body', { why: 'it is nested too deeply' });
    this.#space();
    const first = this.#text[this.#at];
    if (first === '{') return new Members(this.#sequence('}', () => this.#member(depth)));
    if (first === '[') return this.#sequence(']', () => this.value(depth + 1));
    if (first === '"') return this.#string();
    return this.#scalar();
  }

  #sequence<T>(end: string, read: () => T): T[] {
    const found: T[] = [];
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === end) {
      this.#at++;
      return found;
    }
    for (;;) {
      found.push(read());
      this.#space();
      const next = this.#text[this.#at++];
      if (next === end) return found;
      if (next !== ',') throw new SyntaxError('a comma is missing');
    }
  }

  #member(depth: number): readonly [string, Tree] {
    this.#space();
    if (this.#text[this.#at] !== '"') throw new SyntaxError('a name is missing');
    const name = this.#string();
    this.#space();
    if (this.#text[this.#at++] !== ':') throw new SyntaxError('a colon is missing');
    return [name, this.value(depth + 1)];
  }

  #string(): string {
    let end = this.#at + 1;
    for (; this.#text[end] !== '"'; end += this.#text[end] === '\\' ? 2 : 1) {
      if (end >= this.#text.length) throw new SyntaxError('a string has no end');
    }
    return this.#literal(end + 1) as string;
  }

  #scalar(): null | boolean | number {
    let end = this.#at;
    while (/[\w.+-]/.test(this.#text[end] ?? '')) end++;
    return this.#literal(end) as null | boolean | number;
  }

  /** Parses the text from here to `end` with V8. */
  #literal(end: number): unknown {
    const found: unknown = JSON.parse(this.#text.slice(this.#at, end));
    this.#at = end;
    return found;
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? '-')) this.#at++;
  }
}

/** Normalises a field name. Two names that Docker treats as the same field get the same result. */
export function foldName(name: string): string {
  return name.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}

/** All values that Docker could use for a field. */
export function membersOf(tree: Tree | undefined, name: string): Tree[] {
  if (!(tree instanceof Members)) return [];
  return tree.list.flatMap(([found, value]) => (foldName(found) === foldName(name) ? [value] : []));
}

/** Returns a copy of the object with another value for a field. */
export function withMember(tree: Tree, name: string, value: Tree): Tree {
  if (!(tree instanceof Members)) return tree;
  return new Members(
    tree.list.map(([found, old]) => [found, foldName(found) === foldName(name) ? value : old] as const),
  );
}

/** Serialises the tree as it was read, including duplicate fields. */
export function writeJson(tree: Tree): string {
  if (tree instanceof Members)
    return `{${tree.list.map(([name, value]) => `${JSON.stringify(name)}:${writeJson(value)}`).join()}}`;
  return Array.isArray(tree) ? `[${tree.map(writeJson).join()}]` : JSON.stringify(tree);
}

/** Says which names in an object are field names of Docker. In all other objects, names are data and stay unchanged. */
export interface Shape {
  readonly fields?: Readonly<Record<string, Shape>>;
  /** The shape of the items of a list. */
  readonly each?: Shape;
  /** The shape of the values in an object whose names are data. */
  readonly values?: Shape;
}

/**
 * Returns the tree as objects with Docker's own spelling of field names.
 * @param at the place of the tree, for errors
 * @throws {ServiceError} `create.bad_body` for a duplicate field
 */
export function fold(tree: Tree, shape: Shape | undefined, at = ''): unknown {
  if (tree instanceof Members) return foldObject(tree, shape, at);
  if (Array.isArray(tree)) return tree.map((item, i) => fold(item, shape?.each, `${at}[${i}]`));
  return tree;
}

function foldObject({ list }: Members, shape: Shape | undefined, at: string): Record<string, unknown> {
  const fields = shape?.fields;
  const spelling = new Map(Object.keys(fields ?? {}).map((name) => [foldName(name), name]));
  const seen = new Set<string>();
  const folded = list.map(([name, value]): [string, unknown] => {
    const form = fields ? foldName(name) : name;
    const own = spelling.get(form) ?? name;
    const place = at ? `${at}.${own}` : own;
    if (seen.has(form)) {
      throw new ServiceError('create.bad_body', {
        why: `${JSON.stringify(place)} appears twice; send each field once`,
      });
    }
    seen.add(form);
    return [own, fold(value, fields ? fields[own] : shape?.values, place)];
  });
  return Object.fromEntries(folded);
}
