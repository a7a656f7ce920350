/**
 * Every secret that a test gives to the service. After the run, everything that the service wrote or sent is searched for them
 * (evidence.ts), so each is unlike any other text.
 */

export const SECRET = 'testwebserverauthsecretdev';
export const OWN_SECRET = 'own-webserver-secret-"5f2a\\7';
export const CLIENT_SECRET = '0123456789abcdef0123456789abcdef';
export const TOKEN = 'a-config-encryption-token';
/** Tokens that the webserver issues begin like this. */
export const AUTH_TOKEN = 'a17e57ed70ce4';
export const SENTRY_KEY = '5e4774e7bd5f4c0e';
export const LOGZIO_TOKEN = 'lZIoShippingTokenOfTests';
/** Not a secret by itself, because it is useless without the next value. */
export const S3_KEY_ID = 'AKIAFAKEFAKEFAKEFAKE';
export const S3_SECRET = 'fake+secret/access/key+of/our+s3/stand-in';

export const OPERATOR_TOKEN = 'operator-token-of-tests-0123456789';
export const NEXT_OPERATOR_TOKEN = 'next-operator-token-of-tests-9876543210';

export const VIEWER_TOKEN = 'viewer-token-of-tests-5550123456789';

export const CONSOLE_TOKENS = {
  operator: 'operator-of-console-tests-0123456789',
  next: 'operator-of-console-tests-9876543210',
  viewer: 'viewer-of-console-tests-0123456789',
} as const;

export const REGISTRY_PASSWORD = 'registry-password-of-tests "4c1d\\e';

export const SECRETS: readonly string[] = [
  SECRET,
  OWN_SECRET,
  CLIENT_SECRET,
  TOKEN,
  AUTH_TOKEN,
  SENTRY_KEY,
  LOGZIO_TOKEN,
  S3_SECRET,
  OPERATOR_TOKEN,
  NEXT_OPERATOR_TOKEN,
  VIEWER_TOKEN,
  ...Object.values(CONSOLE_TOKENS),
  REGISTRY_PASSWORD,
];
