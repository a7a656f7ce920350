/** Increments a number in a store a given number of times: `counting-process.ts DIRECTORY TIMES`. */

import { DirectoryStore } from '../../src/record/directory-store.ts';

const [directory = '', times = ''] = process.argv.slice(2);
const store = new DirectoryStore(directory);
for (let done = 0; done < Number(times); ) {
  const stored = await store.read('count');
  const next = String(Number(stored?.text ?? 0) + 1);
  if ((await store.write('count', next, stored?.version)) !== undefined) done += 1;
}
