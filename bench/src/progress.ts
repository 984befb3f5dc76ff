import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ROUND_CHANNEL, type RoundMessage } from './rounds.ts';

/** Where progress is shown: a terminal, or a log. */
interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Back to the beginning of the line, and what was there is gone. */
const CLEAR = '\r\u001b[K';

/**
 * Says which scenario runs, and on a terminal which round, in a line that is gone when there is
 * something to read. A log gets nothing: the scenarios say themselves that they are over.
 */
export class Progress implements Disposable {
  readonly #screen: Screen;
  readonly #clockMs: () => number;
  readonly #beginMs: number;
  #what = '';

  constructor(screen: Screen, clockMs: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#clockMs = clockMs;
    this.#beginMs = clockMs();
    subscribe(ROUND_CHANNEL, this.#onRound);
  }

  /** `place`: 1 for the first of all. */
  scenario(name: string, place: number, of: number): void {
    this.#what = `[${place} of ${of}] ${name}`;
    this.#show('');
  }

  /** Makes room for what is written now. */
  clear(): void {
    if (this.#screen.isTTY) this.#screen.write(CLEAR);
  }

  [Symbol.dispose](): void {
    unsubscribe(ROUND_CHANNEL, this.#onRound);
    this.clear();
  }

  readonly #onRound = (message: unknown): void => {
    const { round, rounds } = message as RoundMessage;
    this.#show(round === 0 ? ', warming up' : `, round ${round} of ${rounds}`);
  };

  #show(detail: string): void {
    if (!this.#screen.isTTY) return;
    const soFar = durationText(this.#clockMs() - this.#beginMs);
    this.#screen.write(`${CLEAR}${this.#what}${detail} · ${soFar}`);
  }
}

/** `2:05` */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
