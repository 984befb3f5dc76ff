import { expect, test } from 'vitest';
import { placeholder } from '../src/envelope.ts';
import { acquire } from '../src/scripts/acquire.ts';
import { extend } from '../src/scripts/extend.ts';
import { fill } from '../src/scripts/fill.ts';
import { release } from '../src/scripts/release.ts';

const indexes = (lua: string, name: string): number[] =>
  [...lua.matchAll(new RegExp(`${name}\\[(\\d+)\\]`, 'g'))].map(([, i]) => Number(i));

/** ARGV of each, as the headers and `Keyspace` have them. */
test.each([
  ['acquire', acquire, 3],
  ['extend', extend, 2],
  ['fill', fill, 3],
  ['release', release, 1],
] as const)('%s declares as many keys and arguments as its text uses', (_, script, argv) => {
  expect(Math.max(...indexes(script.lua, 'KEYS'))).toBe(script.keys);
  expect(new Set(indexes(script.lua, 'ARGV'))).toEqual(
    new Set(Array.from({ length: argv }, (_, i) => i + 1)),
  );
});

test('acquire knows what is ours, and placeholders, by how they really begin', () => {
  const heads = [...acquire.lua.matchAll(/string\.sub\(held, 1, (\d+)\) [~=]= '([^']+)'/g)];
  expect(heads.map(([, , head]) => head)).toEqual(['rc1 ', 'rc1 l ']);
  for (const [, length, head] of heads)
    expect(placeholder('x').slice(0, Number(length))).toBe(head);
});

test.each([acquire, extend, fill])('a script that writes reads first and last', ({ lua }) => {
  // Facts R1 and R4: the last read tracks the key again, so that exactly one push of ours follows.
  const calls = [...lua.matchAll(/redis\.call\('(\w+)'/g)].map(([, command]) => command);
  expect(calls[0]).toBe('GET');
  expect(calls.at(-1)).toBe('GET');
  expect(calls.filter((command) => command === 'SET' || command === 'PEXPIRE')).toHaveLength(1);
});
