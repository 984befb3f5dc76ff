import { expect, test } from 'vitest';
import { ACQUIRE } from '../src/scripts/acquire.ts';
import { EXTEND } from '../src/scripts/extend.ts';
import { INSPECT } from '../src/scripts/inspect.ts';
import { JOIN } from '../src/scripts/join.ts';
import { RELEASE } from '../src/scripts/release.ts';

const numbers = (lua: string, name: string): number[] => [
  ...new Set([...lua.matchAll(new RegExp(`${name}\\[(\\d+)\\]`, 'g'))].map(([, n]) => Number(n))),
];

test.for([
  ['acquire', ACQUIRE],
  ['extend', EXTEND],
  ['inspect', INSPECT],
  ['join', JOIN],
  ['release', RELEASE],
] as const)(
  'the header of %s describes the keys and arguments that its code uses',
  ([, script]) => {
    const lines = script.lua.split('\n');
    const header = lines.filter((line) => line.startsWith('-- ')).join('\n');
    const code = lines.filter((line) => !line.trimStart().startsWith('--')).join('\n');
    expect(numbers(header, 'KEYS').sort()).toEqual(numbers(code, 'KEYS').sort());
    expect(numbers(header, 'ARGV').sort()).toEqual(numbers(code, 'ARGV').sort());
    expect(numbers(header, 'KEYS')).toHaveLength(script.keys);
    expect(header).toMatch(/Answers /);
  },
);

test.for([ACQUIRE, EXTEND, INSPECT, JOIN, RELEASE])(
  'every key that is declared is read: %#',
  (script) => {
    const read = [...script.lua.matchAll(/'GET', KEYS\[(\d+)\]/g)].map(([, n]) => Number(n));
    expect([...new Set(read)].sort()).toEqual(Array.from({ length: script.keys }, (_, i) => i + 1));
  },
);
