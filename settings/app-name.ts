/** The rules for the name of a managed app. A Docker network has the same name. */

/** Source: EchoStream's rule for the names of apps, and Docker's rule for the first character. */
export const APP_NAME = '^[A-Za-z0-9][A-Za-z0-9_-]{2,79}$';

/** Networks that Docker defines itself, with or without Swarm. */
const DOCKERS_OWN = ['bridge', 'host', 'none', 'default', 'ingress', 'docker_gwbridge'];

/** @returns what is wrong, as `must …`; undefined if the name can be used */
export function problemWithApp(app: string): string | undefined {
  if (!new RegExp(APP_NAME).test(app)) return `must be the name of an app; got "${app}"`;
  return DOCKERS_OWN.includes(app) ? `must not be ${app}, which is a network of Docker's own` : undefined;
}
