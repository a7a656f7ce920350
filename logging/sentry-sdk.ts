/** What is used of Sentry's SDK. It stands by itself so that the bundle can leave the rest out. */

export { createTransport, defaultStackParser, NodeClient } from '@sentry/node';
