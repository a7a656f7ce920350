/** The public names of this package. */

export type { components, paths } from './api-types.ts';
export { type Answered, type Api, connect, dataOf, type Schemas } from './client.ts';
export { ProblemError, UnreachableError } from './errors.ts';
export { messagesOf } from './messages.ts';
export { openSocket } from './socket.ts';
export type { Target } from './target.ts';
export type { TerminalMessage } from './terminal-messages.ts';
