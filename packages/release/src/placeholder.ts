/** Texts that people and templates leave in place of a value. `ecs-entrypoint` and `verify` must agree on them. */

const PLACEHOLDER =
  /^(xxx.*|todo\b.*|fixme\b.*|tbd|<[^<>]*>|\{\{.*\}\}|\.\.\.|change[-_ ]?me|replace[-_ ]?me|placeholder)$/i;

/** Whether a text stands in place of a value. An empty one does not count, because it may be meant. */
export function isPlaceholder(text: string): boolean {
  return PLACEHOLDER.test(text.trim());
}
