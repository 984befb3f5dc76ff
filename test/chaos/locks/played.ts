import type { Played, PlayOptions } from '../played.ts';
import { judge } from './judge.ts';
import { report } from './report.ts';
import { PROMISES, play } from './scene.ts';

/** The scene of `nemesis.test.ts`, for as long as one likes. */
export async function playLocks(options: PlayOptions): Promise<Played> {
  const history = await play(options);
  const violations = judge(history, PROMISES);
  return { report: report(history, violations, PROMISES), violations: violations.length };
}
