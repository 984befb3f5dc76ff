import fc from 'fast-check';
import { lives, type Setting, type Step, settings } from './steps.ts';
import { type Sabotage, World } from './world.ts';

/** What the engines counted in all their lives, so that none of them passes by doing nothing. */
export interface Tally {
  lives: number;
  steps: number;
  hits: number;
  fills: number;
  refusedFills: number;
  coalesced: number;
  reconnects: number;
  silences: number;
  suspects: number;
}

export const emptyTally = (): Tally => ({
  lives: 0,
  steps: 0,
  hits: 0,
  fills: 0,
  refusedFills: 0,
  coalesced: 0,
  reconnects: 0,
  silences: 0,
  suspects: 0,
});

/** Lives through all steps; throws at the first one after which something is wrong. */
export async function live(
  setting: Setting,
  steps: readonly Step[],
  tally: Tally,
  sabotage?: Sabotage,
): Promise<void> {
  const world = new World(setting, sabotage);
  await world.start();
  for (const step of steps) {
    await world.run(step);
    world.judge.assertRight();
  }
  await world.finish();
  world.judge.assertRight();
  const stats = world.cache.stats();
  tally.lives += 1;
  tally.steps += steps.length;
  tally.hits += stats.hits;
  tally.fills += stats.fills;
  tally.refusedFills += stats.refusedFills;
  tally.coalesced += stats.coalesced;
  tally.reconnects += stats.reconnects;
  tally.silences += stats.silences;
  tally.suspects += world.suspects;
}

/** Any life in any setting. */
export const anyLife = (tally: Tally, sabotage?: Sabotage): fc.IAsyncProperty<[Setting, Step[]]> =>
  fc.asyncProperty(settings, lives, (setting, steps) => live(setting, steps, tally, sabotage));
