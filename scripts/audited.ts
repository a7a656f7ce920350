/** Reads a licence list, an npm lock file, and the answer of `npm audit`. */

/** SPDX identifiers. */
const ACCEPTED = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Unlicense',
]);

export interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly integrity?: string; readonly link?: boolean; readonly optional?: boolean }>
  >;
}

/** @param list as `licences.ts` writes it @returns packages whose licence has not been reviewed */
export function unknownLicences(list: string): string[] {
  const named = [...list.matchAll(/^(?:-{80}\n\n)?(\S+) (\d\S*): (.+)$/gm)];
  if (named.length === 0) return ['the list names no package; run "make build"'];
  return named
    .filter(
      ([, , , licence = '']) =>
        !licence
          .replaceAll(/[()]/g, '')
          .split(' OR ')
          .some((one) => ACCEPTED.has(one)),
    )
    .map(([, name, version, licence]) => `${name} ${version}: ${licence}`);
}

/** The packages without a hash, and the number of optional ones among the rest. */
export function unhashed({ packages }: Lock): { readonly without: string[]; readonly optional: number } {
  const bare = Object.entries(packages).filter(([path, { integrity, link }]) => path && !integrity && !link);
  const without = bare.filter(([, { optional }]) => !optional).map(([path]) => path);
  return { without, optional: bare.length - without.length };
}

/** @param answer in JSON @returns undefined if the registry gave no answer */
export function known(answer: string): string[] | undefined {
  const { vulnerabilities }: { vulnerabilities?: Record<string, { severity: string; range: string }> } =
    JSON.parse(answer);
  if (!vulnerabilities) return undefined;
  return Object.entries(vulnerabilities).map(
    ([name, { severity, range }]) => `${name} ${range}: ${severity}; "npm audit" says what to do`,
  );
}
