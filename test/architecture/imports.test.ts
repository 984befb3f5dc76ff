import { expect, test } from 'vitest';
import { importsOf, packageOf } from './imports.ts';

test.for([
  ["import a from 'x'", 'x'],
  ["import { a,\n  b } from 'x/y'", 'x/y'],
  ["import * as a from 'x'", 'x'],
  ["import 'x'", 'x'],
  ["import type { A } from 'x'", 'x'],
  ["import { type A } from 'x'", 'x'],
  ["export { a } from 'x'", 'x'],
  ["export * from 'x'", 'x'],
  ["export type { A } from 'x'", 'x'],
  ["const a = await import('x')", 'x'],
  ["type A = import('x').B<string>", 'x'],
  ["const a = require('x')", 'x'],
])('finds the module that `%s` names', ([source, module]) => {
  expect(importsOf('a.ts', source as string)).toEqual([module]);
});

test.for([
  "// import a from 'x'",
  "/** {@link import('x')} */",
  'const text = "import a from \'x\'"',
  "const text = `export * from 'x'`",
  'export const a = 1',
  "a.require('x')",
])('finds no module in `%s`', (source) => {
  expect(importsOf('a.ts', source)).toEqual([]);
});

test('finds all modules of a source, in order', () => {
  const source = "import a from './a.ts'\nexport * from '@x/y/z'\nimport('node:fs')";
  expect(importsOf('a.ts', source)).toEqual(['./a.ts', '@x/y/z', 'node:fs']);
});

test('refuses a source that does not parse, instead of finding nothing in it', () => {
  expect(() => importsOf('a.ts', 'import {')).toThrow('a.ts');
});

test('reduces a specifier to its package', () => {
  expect(['x', 'x/y', '@s/x', '@s/x/y', './x', '../x', 'node:fs'].map(packageOf)).toEqual([
    'x',
    'x',
    '@s/x',
    '@s/x',
    undefined,
    undefined,
    undefined,
  ]);
});
