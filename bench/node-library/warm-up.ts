/**
 * The number of messages that each side handles before the measurement begins, so that the code is compiled by then.
 */
export const WARM_UP = 6_000;
