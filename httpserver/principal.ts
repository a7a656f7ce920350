/** Who calls, as one value: routes ask it what the caller may do, and the log says who it was. */

export type PrincipalKind = 'root' | 'operator' | 'viewer' | 'webserver' | 'client app';

export interface Principal {
  readonly kind: PrincipalKind;
  /** The address that the call came from, or `unix socket`. */
  readonly from: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined until it is known, and where nobody is asked. */
    principal: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** Whether a route changes nothing, or sees for itself who may do what. */
    looksOnly?: boolean;
  }
}

/** Whether it may do what changes something. */
export function mayAct({ kind }: Principal): boolean {
  return kind !== 'viewer';
}
