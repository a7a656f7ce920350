/**
 * Stands in the bundle for packages of dockerode's that this service never comes to: ssh to a remote Docker,
 * and builds by BuildKit over gRPC.
 */

function leftOut(): never {
  throw new Error('this build reaches Docker over its unix socket alone; set DOCKER_HOST to one');
}

/** Of `ssh2`. */
export class Client {
  constructor() {
    leftOut();
  }
}

/** Of `@grpc/grpc-js` and `@grpc/proto-loader`. */
export const loadSync = leftOut;
