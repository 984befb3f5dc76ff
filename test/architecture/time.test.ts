import { describe, expect, test } from 'vitest';
import { PACKAGES, sourcesOf } from './repository.ts';
import { ownTime } from './time.ts';

/** The one file that may ask the machine for the time: everything else asks a Clock. */
const CLOCK = 'core/src/clock.ts';

test('every time and every timer comes from a Clock', () => {
  const found = PACKAGES.flatMap((name) =>
    [...sourcesOf(name)].flatMap(([file, source]) => ownTime(`${name}/src/${file}`, source)),
  );
  expect(found.filter((line) => !line.startsWith(CLOCK))).toEqual([]);
});

test('the file that asks the machine for the time is there', () => {
  expect(sourcesOf('core').has('clock.ts')).toBe(true);
});

describe('the check itself', () => {
  test.for([
    'Date.now()',
    'const now = Date.now',
    'new Date()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'globalThis.setTimeout(f, 1)',
    'performance.now()',
    'process.hrtime.bigint()',
    'AbortSignal.timeout(1)',
    "import { setTimeout } from 'node:timers/promises'",
    "import { performance } from 'node:perf_hooks'",
    "import { createHistogram, performance } from 'node:perf_hooks'",
  ])('sees `%s`', (source) => {
    expect(ownTime('a.ts', `\n${source}`)).toEqual([expect.stringMatching(/^a\.ts:2: /)]);
  });

  test.for([
    '// Date.now() would jump with the wall clock',
    "const text = 'setTimeout(f, 1)'",
    'clock.setTimeout(f, 1)',
    'const at = clock.now()',
    'new Date(value)',
    'setImmediate(f)',
    "import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'",
  ])('passes `%s`', (source) => {
    expect(ownTime('a.ts', source)).toEqual([]);
  });
});
