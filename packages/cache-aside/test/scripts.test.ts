import { expect, test } from 'vitest';
import { absentEnvelope, headerOf, placeholder, valueHead } from '../src/envelope.ts';
import { acquire } from '../src/scripts/acquire.ts';
import { beginWrite } from '../src/scripts/begin-write.ts';
import { expire } from '../src/scripts/expire.ts';
import { extend } from '../src/scripts/extend.ts';
import { fill } from '../src/scripts/fill.ts';
import { HEADER } from '../src/scripts/header.ts';
import { keepEpoch } from '../src/scripts/keep-epoch.ts';
import { nextEpoch } from '../src/scripts/next-epoch.ts';
import { raiseEpoch } from '../src/scripts/raise-epoch.ts';
import { readEpoch } from '../src/scripts/read-epoch.ts';
import { refreshAcquire } from '../src/scripts/refresh-acquire.ts';
import { refreshExtend } from '../src/scripts/refresh-extend.ts';
import { refreshFill } from '../src/scripts/refresh-fill.ts';
import { release } from '../src/scripts/release.ts';
import { storeHeld } from '../src/scripts/store-held.ts';
import { touch } from '../src/scripts/touch.ts';

const indexes = (lua: string, name: string): number[] =>
  [...lua.matchAll(new RegExp(`${name}\\[(\\d+)\\]`, 'g'))].map(([, i]) => Number(i));

/** ARGV of each, as the headers and those who run them have them. */
test.each([
  ['acquire', acquire, 4],
  ['begin-write', beginWrite, 2],
  ['expire', expire, 0],
  ['extend', extend, 2],
  ['fill', fill, 3],
  ['keep-epoch', keepEpoch, 3],
  ['next-epoch', nextEpoch, 0],
  ['raise-epoch', raiseEpoch, 2],
  ['read-epoch', readEpoch, 1],
  ['refresh-acquire', refreshAcquire, 3],
  ['refresh-extend', refreshExtend, 3],
  ['refresh-fill', refreshFill, 4],
  ['release', release, 1],
  ['store-held', storeHeld, 4],
  ['touch', touch, 1],
] as const)('%s declares as many keys and arguments as its text uses', (_, script, argv) => {
  expect(Math.max(...indexes(script.lua, 'KEYS'))).toBe(script.keys);
  expect(new Set(indexes(script.lua, 'ARGV'))).toEqual(
    new Set(Array.from({ length: argv }, (_, i) => i + 1)),
  );
});

test('acquire knows what is ours, and placeholders, by how they really begin', () => {
  const heads = [...acquire.lua.matchAll(/string\.sub\(held, 1, (\d+)\) [~=]= '([^']+)'/g)];
  expect(heads.map(([, , head]) => head)).toEqual(['rc1 l ', 'rc1 ']);
  for (const [, length, head] of heads)
    expect(placeholder('x').slice(0, Number(length))).toBe(head);
});

test('what takes headers apart looks far enough for any of them', () => {
  const [, end] = /GETRANGE', key, 0, (\d+)/.exec(HEADER) ?? [];
  const most = Number.MAX_SAFE_INTEGER;
  const header = headerOf({ ttlMs: most, tailMs: most, loadMs: most });
  const longest = valueHead(header, 'c'.repeat(64)).length;
  expect(Number(end)).toBeGreaterThanOrEqual(longest);
  expect(absentEnvelope(header).length).toBeLessThanOrEqual(longest);
});

test.each([acquire, extend, fill, refreshAcquire, refreshExtend, refreshFill])(
  'a script that takes, keeps or fills a lease reads first and last',
  ({ lua }) => {
    // Facts R1 and R4: the last read tracks the key again, so that exactly one push of ours follows.
    const calls = [...lua.matchAll(/redis\.call\('(\w+)'/g)].map(([, command]) => command);
    expect(calls[0]).toMatch(/^GET(RANGE)?$/);
    expect(calls.at(-1)).toMatch(/^GET(RANGE)?$/);
    expect(calls.filter((command) => command === 'SET' || command === 'PEXPIRE')).toHaveLength(1);
  },
);
