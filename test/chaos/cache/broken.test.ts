// Caches that are broken in one way each: the judge of nemesis.test.ts has to see it.
import { expect, test } from 'vitest';
import { judge, type Violation } from './judge.ts';
import { play, promisesOf, type SceneOptions } from './scene.ts';

/** Which of these rules it must be that were seen broken. */
async function broken(
  scene: Pick<SceneOptions, 'broken'> & Partial<SceneOptions>,
  rules: readonly Violation['rule'][],
): Promise<void> {
  const size = { processes: 3, callers: 20, keys: 10, restMs: 50 };
  const history = await play({
    ...{ kind: 'standalone', seed: 1, seconds: 1.5, mishaps: [], restingMs: 0, ...size },
    ...scene,
  });
  const found = new Set(judge(history, promisesOf('standalone')).map(({ rule }) => rule));
  expect([...found].filter((rule) => rules.includes(rule)).sort()).toEqual([...rules].sort());
}

test(
  'deletes that resolve before they are done are seen',
  () => broken({ broken: 'hasty' }, ['stale']),
  60_000,
);

test(
  'copies of which nobody is told that they have changed are seen',
  () => broken({ broken: 'deaf' }, ['stale']),
  60_000,
);

test(
  'values that are stored though their key has changed meanwhile are seen',
  () => broken({ broken: 'stubborn' }, ['stale']),
  60_000,
);

test(
  'processes that have a cache each for themselves are seen',
  () => broken({ broken: 'private', keys: 50, longLoads: 0.2 }, ['stale', 'twice']),
  60_000,
);

test(
  'caches that keep nothing here are seen',
  () => broken({ broken: 'forgetful' }, ['hits']),
  60_000,
);

test(
  'reads that never end are seen',
  () => broken({ broken: 'endless', patienceMs: 500 }, ['unsettled']),
  60_000,
);
