/** The result of the preparation of a container, which is needed when Docker has created it. */

import type { CreateBody, CreateOptions } from './creation/create-body.ts';
import type { Allotment } from './resources.ts';

export interface Preparation {
  /** The body for Docker's create call. */
  readonly body: CreateBody;
  /** The body before it was amended. */
  readonly accepted: CreateBody;
  readonly options: CreateOptions;
  readonly allotment: Allotment;
}
