/** The name that Docker gives a container; branded so that no other name can be passed for it. */

/** What Docker's create call returned. */
export type DockerId = string & { readonly brand: 'DockerId' };
