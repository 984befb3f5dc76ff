// Processes that are stopped, killed and cut off, and keys that are deleted and written all the time:
// nobody reads what is older than what was confirmed, no key is loaded twice at a time, every call
// settles, and what nobody touches is served from the process.
import { expect, inject, test } from 'vitest';
import { judge } from './judge.ts';
import { report } from './report.ts';
import { play, promisesOf, type SceneOptions } from './scene.ts';

const byBinary = inject('redis').by === 'binary';
const SIZE = { processes: 4, callers: 40, keys: 100, restMs: 200 };

/** The same in its full size, for as long as one likes: `npm run nemesis -- cache`. */
const scenes: Omit<SceneOptions, 'seed'>[] = [
  { kind: 'standalone', seconds: 8, calmMs: [100, 600], ...SIZE },
  {
    ...{ kind: 'sentinel', seconds: 4, ...SIZE },
    mishaps: ['failover', 'SIGKILL', 'stalled connections'],
  },
];

test.runIf(byBinary).each(scenes)(
  'whatever befalls processes, keys and a $kind Redis, the caches keep their promises',
  async (scene) => {
    const seed = Date.now() % 2 ** 31;
    const history = await play({ ...scene, seed });
    const promises = promisesOf(scene.kind);
    const violations = judge(history, promises);
    const said = `seed ${seed}\n${report(history, violations, promises)}`;
    expect(violations, said).toEqual([]);
    // All that was to happen has happened, to caches that were in use.
    const happened = new Set(history.faults.map(({ what }) => what));
    expect(happened.size, said).toBeGreaterThanOrEqual(scene.mishaps?.length ?? 9);
    expect(history.loads.length, said).toBeGreaterThan(100);
    expect(history.mutations.length, said).toBeGreaterThan(100);
  },
  120_000,
);
