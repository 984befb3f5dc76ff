import type { Played, PlayOptions } from '../played.ts';
import { judge } from './judge.ts';
import { report } from './report.ts';
import { FULL, play, promisesOf } from './scene.ts';

/** The scene of `nemesis.test.ts` in its full size, for as long as one likes. */
export async function playCache(options: PlayOptions): Promise<Played> {
  const history = await play({ ...FULL, ...options });
  const promises = promisesOf(options.kind);
  const violations = judge(history, promises);
  return { report: report(history, violations, promises), violations: violations.length };
}
