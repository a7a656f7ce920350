/** The caller of a request as one value. Routes check its rights, and the log names it. */

export type PrincipalKind = 'root' | 'operator' | 'viewer' | 'webserver' | 'client app';

export interface Principal {
  readonly kind: PrincipalKind;
  /** The address of the caller, or `unix socket`. */
  readonly from: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** undefined until it is known, and for routes without authentication. */
    principal: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** Whether a route changes nothing, or checks the caller's rights itself. */
    looksOnly?: boolean;
  }
}

/** Whether the caller may make changes. */
export function mayAct({ kind }: Principal): boolean {
  return kind !== 'viewer';
}
