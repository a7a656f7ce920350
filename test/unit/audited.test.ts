import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unhashed, unknownLicences } from '../../scripts/audited.ts';

const LINE = '-'.repeat(80);

test('a licence that has not been reviewed is reported, and one reviewed alternative is enough', () => {
  const list = `one 1.0.0: MIT\n\nText: of it\n\n${LINE}\n\n@a/two 2.0.0: (GPL-3.0 OR ISC)\n\n${LINE}\n\nthree 3.0.0-rc.1: GPL-3.0\n`;
  assert.deepEqual(unknownLicences(list), ['three 3.0.0-rc.1: GPL-3.0']);
  assert.equal(unknownLicences('').length, 1);
});

test('a package without a hash is reported, except for the project itself, links and optional packages', () => {
  const packages = {
    '': {},
    'node_modules/a': { integrity: 'sha512-x' },
    'node_modules/b': {},
    'node_modules/c': { optional: true },
    'node_modules/d': { link: true },
  };
  assert.deepEqual(unhashed({ packages }), { without: ['node_modules/b'], optional: 1 });
});

test('a registry that cannot audit does not count as a clean audit', () => {
  assert.equal(known('{"message":"405 Method Not Allowed"}'), undefined);
  assert.deepEqual(known('{"vulnerabilities":{}}'), []);
  const [fault] = known('{"vulnerabilities":{"a":{"severity":"high","range":"<2"}}}') ?? [];
  assert.match(fault ?? '', /^a <2: high; /);
});
