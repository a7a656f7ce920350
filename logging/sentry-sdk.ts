/**
 * The parts of Sentry's SDK that the service uses. They are in a file of their own so that the bundler can drop the
 * rest. The package for Node adds OpenTelemetry's instrumentation to them, which is larger and which the service does
 * not use.
 */

export { createStackParser, createTransport, nodeStackLineParser, ServerRuntimeClient } from '@sentry/core';
