/** Stands for the ssh2 package in the bundle, which reaches Docker over a unix socket alone. */
export class Client {
  constructor() {
    throw new Error('this build has no ssh; set DOCKER_HOST to a unix socket');
  }
}
