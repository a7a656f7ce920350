/** The public API of this package: the configuration, and the pure functions of a release. */

export { configOf, type ReleaseConfig, readConfig } from './config/read.ts';
export { ReleaseFile } from './config/schema.ts';
export { type ErrorKind, EXIT_CODES, ReleaseError } from './errors.ts';
export type { Outcome, ReleaseRecord } from './record/release-record.ts';
export { type Change, differences } from './release/difference.ts';
export { type Live, render, type Wanted } from './release/task-definition.ts';
