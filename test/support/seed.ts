/** The seed of all random choices of a run: the same number repeats them. */

/** `SEED` in the environment; without it, each process draws one. */
export const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
