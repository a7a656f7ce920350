import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unhashed, unknownLicences } from '../../scripts/audited.ts';

const LINE = '-'.repeat(80);

test('a licence that nobody has looked at is found, and one of several is enough', () => {
  const list = `one 1.0.0: MIT\n\nText: of it\n\n${LINE}\n\n@a/two 2.0.0: (GPL-3.0 OR ISC)\n\n${LINE}\n\nthree 3.0.0-rc.1: GPL-3.0\n`;
  assert.deepEqual(unknownLicences(list), ['three 3.0.0-rc.1: GPL-3.0']);
  assert.equal(unknownLicences('').length, 1);
});

test('a package without a hash is found, but for the project itself, links, and optional ones', () => {
  const packages = {
    '': {},
    'node_modules/a': { integrity: 'sha512-x' },
    'node_modules/b': {},
    'node_modules/c': { optional: true },
    'node_modules/d': { link: true },
  };
  assert.deepEqual(unhashed({ packages }), { without: ['node_modules/b'], optional: 1 });
});

test('a registry that does not audit has not found that all is well', () => {
  assert.equal(known('{"message":"405 Method Not Allowed"}'), undefined);
  assert.deepEqual(known('{"vulnerabilities":{}}'), []);
  const [fault] = known('{"vulnerabilities":{"a":{"severity":"high","range":"<2"}}}') ?? [];
  assert.match(fault ?? '', /^a <2: high; /);
});
