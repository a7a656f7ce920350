/**
 * The parts of Sentry's SDK that the service uses. They are in a file of their own so that the bundler can drop the
 * rest.
 */

export { createTransport, defaultStackParser, NodeClient } from '@sentry/node';
