/** Over which time a rate is taken, and how much of it one sample stands for. */
const WINDOW_MS = 15_000;
const SAMPLE_MS = 1_000;

interface Sample {
  readonly atMs: number;
  readonly done: number;
}

/** How fast a count has risen lately, so that an estimate follows a source that became slower. */
export class Rate {
  /** Oldest first; no more than a window holds. */
  readonly #samples: Sample[];

  constructor(beganAtMs: number) {
    this.#samples = [{ atMs: beganAtMs, done: 0 }];
  }

  note(atMs: number, done: number): void {
    const samples = this.#samples;
    if (atMs - (samples.at(-1) as Sample).atMs < SAMPLE_MS) return;
    samples.push({ atMs, done });
    while (samples.length > 1 && atMs - (samples[1] as Sample).atMs >= WINDOW_MS) samples.shift();
  }

  /** 0 while no time has passed. */
  perSecond(atMs: number, done: number): number {
    const first = this.#samples[0] as Sample;
    return atMs > first.atMs ? ((done - first.done) * 1_000) / (atMs - first.atMs) : 0;
  }
}
