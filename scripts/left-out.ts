/**
 * Replaces the packages of dockerode in the bundle that this service never uses: those for ssh to a remote Docker, and
 * for builds of images, with BuildKit over gRPC or without.
 */

function leftOut(): never {
  throw new Error('this build reaches Docker over its unix socket alone; set DOCKER_HOST to one');
}

/** From `ssh2`. */
export class Client {
  constructor() {
    leftOut();
  }
}

/** From `@grpc/grpc-js` and `@grpc/proto-loader`. */
export const loadSync = leftOut;
