/** A region whose content may be larger than the region. It is focusable, so that the keyboard can scroll it. */

import type { ComponentChildren, Ref } from 'preact';

interface Props {
  readonly label: string;
  readonly class: string;
  readonly place?: Ref<HTMLElement>;
  readonly children?: ComponentChildren;
}

export function Scrolls({ label, class: name, place, children }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: WCAG 2.1.1: the keyboard must be able to scroll it
    <section ref={place ?? null} class={name} tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
