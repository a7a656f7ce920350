/**
 * What may stand beside a terminal. A panel gets the container of the terminal and shows something of it, such as its screen.
 * To add one, write a component and add a row here; the terminal's page then offers it. See the README of this package.
 */

import type { ComponentType } from 'preact';
import type { Container } from './state/api.ts';

export interface Panel {
  /** In the address, such as `screen`. */
  readonly name: string;
  /** On its button. */
  readonly title: string;
  /** Whether it has something to show of this container. */
  readonly fits: (container: Container) => boolean;
  readonly Content: ComponentType<{ readonly container: Container }>;
}

export const PANELS: readonly Panel[] = [];
