/** Messages that each side handles before the measurement begins: the code is compiled by then. */
export const WARM_UP = 6_000;
