// Locks that are broken in one way each: the judge of nemesis.test.ts has to see it.
import { expect, test } from 'vitest';
import { judge, type Violation } from './judge.ts';
import { PROMISES, play, type SceneOptions } from './scene.ts';

/** Which of these rules it must be that were seen broken. */
async function broken(
  scene: Omit<SceneOptions, 'kind' | 'seed'>,
  rules: readonly Violation['rule'][],
): Promise<void> {
  const history = await play({ kind: 'standalone', seed: 1, processes: 3, ...scene });
  const found = new Set(judge(history, PROMISES).map(({ rule }) => rule));
  expect([...found].filter((rule) => rules.includes(rule)).sort()).toEqual([...rules].sort());
}

test(
  'holders that do not learn of a loss are seen',
  () =>
    broken(
      {
        broken: 'deaf',
        seconds: 5,
        mishaps: ['SIGSTOP for longer than a lease'],
        calmMs: [50, 150],
      },
      ['belief'],
    ),
  60_000,
);

test(
  'processes that have a lock each for themselves are seen',
  () => broken({ prefixOf: (process) => `${process}:`, seconds: 0.5, mishaps: [] }, ['belief']),
  60_000,
);

test(
  'tokens that do not rise are seen',
  () => broken({ broken: 'sinking', seconds: 0.5, mishaps: [] }, ['belief', 'rising']),
  60_000,
);

test(
  'locks that are never given back are seen',
  () =>
    broken({ broken: 'endless', seconds: 0, mishaps: ['CLIENT KILL'], calmMs: [1_500, 1_500] }, [
      'bound',
    ]),
  60_000,
);
