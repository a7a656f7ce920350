/**
 * Calls the addon with arguments of any kind, in any order, in a process of its own: `addon-calls.cjs ADDON SEED COUNT`.
 * It prints "alive" at the end. Run it with --expose-gc.
 */

const addon = require(process.argv[2]);
const [seed, count] = process.argv.slice(3).map(Number);
let state = seed;
const random = (n) => {
  state = (state * 1103515245 + 12345) % 2 ** 31;
  return state % n;
};
const made = [{}];
const values = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  NaN,
  Infinity,
  2 ** 40,
  10n,
  '',
  'no-such-name',
  '/dev/null',
  '/tmp',
  'a\0b',
  'ü'.repeat(5000),
  Symbol('s'),
  [],
  [0],
  [1, 2, 3],
  [-1],
  ['0'],
  [2 ** 33],
  Array(9).fill(0),
  new Array(2 ** 32 - 1),
  {},
  () => {},
  () => {
    throw new Error('thrown');
  },
  new Uint16Array(4),
  new Uint16Array(0),
  new Uint16Array(3),
  new Uint8Array(4),
  new DataView(new ArrayBuffer(8)),
  new Uint16Array(new SharedArrayBuffer(8)),
  structuredClone(new Uint16Array(4).buffer, {}),
  new Proxy({}, {}),
  new Proxy([], {}),
  Object.create(null),
  addon,
  globalThis,
  [{ name: 'x', ids: new Uint16Array(4), bits: new Uint16Array(2) }],
  [
    {
      name: 'x',
      get ids() {
        throw new Error('thrown');
      },
    },
  ],
  [{ name: 'x', ids: new Uint16Array(4), bits: new Uint16Array(3) }],
  [null],
  [{}],
  {
    get length() {
      throw new Error('thrown');
    },
  },
];
const detached = new Uint16Array(4);
structuredClone(detached.buffer, { transfer: [detached.buffer] });
values.push(detached);
const directory = require('node:fs').mkdtempSync('/tmp/addon-fuzz-');
values.push(directory);
const names = Object.keys(addon);
process.on('uncaughtException', () => {});
process.on('unhandledRejection', () => {});
for (let i = 0; i < count; i++) {
  if (made.length > 1 && random(4) === 0) values[0] = made[random(made.length)];
  if (made.length > 20 && random(50) === 0) made.splice(random(made.length), 1);
  const given = Array.from({ length: random(7) }, () =>
    random(3) === 0 ? made[random(made.length)] : values[random(values.length)],
  );
  let name = names[random(names.length)];
  try {
    if (random(40) === 0) {
      name = 'openSocket';
      given.splice(0, given.length, directory, `s${i}`, 0o700, () => {});
    }
    const result = addon[name](...given);
    if (result && typeof result === 'object' && !(result instanceof Promise)) made.push(result);
    if (result instanceof Promise) result.catch(() => {});
  } catch {}
  if (i % 4000 === 3999) gc();
}
require('node:fs').rmSync(directory, { recursive: true });
setTimeout(() => {
  gc();
  console.log(made.length > 1 ? 'alive' : 'nothing was made');
}, 50);
