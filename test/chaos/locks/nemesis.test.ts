// Processes that are stopped, killed and cut off, and locks that are taken from them: whoever looks
// at its lock is told the truth, what it protects takes no late write, and nobody waits for ever.
import { expect, inject, test } from 'vitest';
import { judge } from './judge.ts';
import { report } from './report.ts';
import { PROMISES, play, type SceneOptions } from './scene.ts';

const byBinary = inject('redis').by === 'binary';

/** The same for a minute each, or as long as one likes: `npm run nemesis`. */
const scenes: Omit<SceneOptions, 'seed'>[] = [
  { kind: 'standalone', seconds: 8 },
  { kind: 'sentinel', seconds: 4, mishaps: ['failover', 'SIGKILL', 'stalled connections'] },
];

test.runIf(byBinary).each(scenes)(
  'whatever befalls holders, locks and a $kind Redis, the locks keep their promises',
  async (scene) => {
    const seed = Date.now() % 2 ** 31;
    const history = await play({ ...scene, seed });
    const violations = judge(history, PROMISES);
    const said = `seed ${seed}\n${report(history, violations, PROMISES)}`;
    expect(violations, said).toEqual([]);
    // All that was to happen has happened, to locks that were in use.
    const happened = new Set(history.faults.map(({ what }) => what));
    expect(happened.size, said).toBeGreaterThanOrEqual(scene.mishaps?.length ?? 7);
    expect(history.holdings.length, said).toBeGreaterThan(100);
  },
  120_000,
);
