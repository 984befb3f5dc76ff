import type { Fault } from './fault.ts';

/** So much of what was before and after a moment is shown. */
const AROUND_MS = 400;
const MOST_LINES = 60;

/** What was noted around a moment, by time. */
export class Excerpt {
  readonly #atNs: bigint;
  readonly #aroundMs: number;
  readonly #lines: { readonly ms: number; readonly line: string }[] = [];

  constructor(atNs: bigint, aroundMs = AROUND_MS) {
    this.#atNs = atNs;
    this.#aroundMs = aroundMs;
  }

  add(ns: bigint, line: string): void {
    const ms = Number(ns - this.#atNs) / 1e6;
    if (Math.abs(ms) <= this.#aroundMs) this.#lines.push({ ms, line });
  }

  addFaults(faults: readonly Fault[]): void {
    for (const { what, whom, beganNs, endedNs } of faults) {
      this.add(beganNs, `-- ${what} (${whom}) begins`);
      this.add(endedNs, `-- ${what} (${whom}) has ended`);
    }
  }

  /** Those that are nearest, each with its time in milliseconds from the moment. */
  get lines(): string[] {
    return [...this.#lines]
      .sort((a, b) => Math.abs(a.ms) - Math.abs(b.ms))
      .slice(0, MOST_LINES)
      .sort((a, b) => a.ms - b.ms)
      .map(({ ms, line }) => `  ${ms.toFixed(2)} ${line}`);
  }
}

/** How many faults there were, and of which kinds. */
export function countOfFaults(faults: readonly Fault[]): string {
  const kinds = new Map<string, number>();
  for (const { what } of faults) kinds.set(what, (kinds.get(what) ?? 0) + 1);
  return `faults: ${faults.length} (${[...kinds].map(([what, n]) => `${n} ${what}`).join(', ')})`;
}
