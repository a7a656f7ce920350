/** Docker's id of a container. It is a branded type, so that no other id can be used in its place. */

/** The id that Docker's create call returned. */
export type DockerId = string & { readonly brand: 'DockerId' };
