/** What makes the choices at random of a whole run: the same number makes the same ones again. */

/** `SEED` in the environment; where there is none, each process draws one. */
export const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
