/**
 * Panels that can be shown beside a terminal. A panel gets the terminal's container and shows something about it, such
 * as its screen. To add a panel, write a component and add a row here. The terminal's page then offers it. The README
 * of this package has more.
 */

import type { ComponentType } from 'preact';
import type { Container } from './state/api.ts';

export interface Panel {
  /** The panel's identifier, such as `screen`. */
  readonly name: string;
  /** The text of its button. */
  readonly title: string;
  /** Whether the panel has something to show for this container. */
  readonly fits: (container: Container) => boolean;
  readonly Content: ComponentType<{ readonly container: Container }>;
}

export const PANELS: readonly Panel[] = [];
