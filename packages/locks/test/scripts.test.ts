import type { Script } from '@redcache/core/toolkit';
import { expect, test } from 'vitest';
import { COUNTED_EXTEND } from '../src/counted/scripts/extend.ts';
import { COUNTED_INSPECT } from '../src/counted/scripts/inspect.ts';
import { COUNTED_JOIN } from '../src/counted/scripts/join.ts';
import { COUNTED_LOOK } from '../src/counted/scripts/look.ts';
import { COUNTED_RELEASE } from '../src/counted/scripts/release.ts';
import { COUNTED_TAKE } from '../src/counted/scripts/take.ts';
import { ACQUIRE } from '../src/scripts/acquire.ts';
import { EXTEND } from '../src/scripts/extend.ts';
import { INSPECT } from '../src/scripts/inspect.ts';
import { JOIN } from '../src/scripts/join.ts';
import { RAISE_FENCE } from '../src/scripts/raise-fence.ts';
import { RELEASE } from '../src/scripts/release.ts';

const numbers = (lua: string, name: string): number[] => [
  ...new Set([...lua.matchAll(new RegExp(`${name}\\[(\\d+)\\]`, 'g'))].map(([, n]) => Number(n))),
];

const scripts = [
  ['acquire', ACQUIRE],
  ['extend', EXTEND],
  ['inspect', INSPECT],
  ['join', JOIN],
  ['raise-fence', RAISE_FENCE],
  ['release', RELEASE],
  ['extend of counted', COUNTED_EXTEND],
  ['inspect of counted', COUNTED_INSPECT],
  ['join of counted', COUNTED_JOIN],
  ['look of counted', COUNTED_LOOK],
  ['release of counted', COUNTED_RELEASE],
  ['take of counted', COUNTED_TAKE],
] as const;

const textOf = (script: Script): string => ('ofOne' in script ? String(script.ofOne) : script.lua);

test.for(scripts)(
  'the header of %s describes the keys and arguments that its code uses',
  ([, script]) => {
    const lines = textOf(script).split('\n');
    const header = lines.filter((line) => line.startsWith('-- ')).join('\n');
    const code = lines.filter((line) => !line.trimStart().startsWith('--')).join('\n');
    expect(numbers(header, 'KEYS').sort()).toEqual(numbers(code, 'KEYS').sort());
    expect(numbers(header, 'ARGV').sort()).toEqual(numbers(code, 'ARGV').sort());
    expect(numbers(header, 'KEYS')).toHaveLength(script.keys);
    expect(header).toMatch(/Answers /);
  },
);

test.for(scripts)('every key that is declared is read: %s', ([, script]) => {
  // The holders of a counted lock are read under that name.
  const reads = /(?:'(?:H?GET|ZSCORE)',|local holders =) KEYS\[(\d+)\]/g;
  const read = [...textOf(script).matchAll(reads)].map(([, n]) => Number(n));
  expect([...new Set(read)].sort()).toEqual(Array.from({ length: script.keys }, (_, i) => i + 1));
});
