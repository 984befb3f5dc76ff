import type { WriteStream } from 'node:tty';
import type { WarmProgress } from '@redcache/cache-aside';
import { count, percent, time } from './format.ts';
import { paint } from './screen.ts';

const WIDTH = 30;

/** Shows a warming: a bar that grows in its place, or a line now and then where there is no terminal. */
export class ProgressBar {
  readonly #output: WriteStream = process.stdout;

  /** How often it is worth showing something. */
  get everyMs(): number {
    return this.#output.isTTY ? 50 : 1000;
  }

  readonly show = (progress: WarmProgress): void => {
    const line = lineOf(progress);
    // In place of the one before, and nothing left of that behind it.
    if (this.#output.isTTY)
      this.#output.write(`\r${paint('green', barOf(progress))} ${line}\x1b[K`);
    else this.#output.write(`${line}\n`);
  };

  /** What comes next begins a line of its own. */
  end(): void {
    if (this.#output.isTTY) this.#output.write('\n');
  }
}

/** How much is done of what there is; all of nothing. */
export function barOf({ done, total = 0 }: Pick<WarmProgress, 'done' | 'total'>): string {
  const filled = total === 0 ? WIDTH : Math.floor((WIDTH * Math.min(done, total)) / total);
  return '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
}

export function lineOf(progress: WarmProgress): string {
  const { done, total = 0, ratePerSecond, etaMs, skipped, failed } = progress;
  return [
    `warmed ${count(done)} of ${count(total)} (${percent(done, total)})`,
    `${count(ratePerSecond)}/s`,
    ...(etaMs === undefined || etaMs === 0 ? [] : [`${time(etaMs)} left`]),
    ...(skipped > 0 ? [`${count(skipped)} were there`] : []),
    ...(failed > 0 ? [`${count(failed)} failed`] : []),
  ].join(' · ');
}
