import { policyOf } from '../../../src/store/policies/policy-of.ts';
import type { EvictionPolicy, PolicyName } from '../../../src/store/policy.ts';
import { Filed } from './filed.ts';

/** A store of `capacity` entries as a policy sees it: a hit touches, a miss files and makes room. */
export class Replay {
  readonly #policy: EvictionPolicy<Filed>;
  readonly #capacity: number;
  readonly #entries = new Map<string, Filed>();

  constructor(policy: PolicyName, capacity: number) {
    this.#policy = policyOf<Filed>(policy);
    this.#capacity = capacity;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Whether it was a hit. */
  read(name: string): boolean {
    const found = this.#entries.get(name);
    if (found !== undefined) {
      this.#policy.touch(found);
      return true;
    }
    const entry = new Filed(name);
    this.#entries.set(name, entry);
    this.#policy.add(entry);
    if (this.#entries.size > this.#capacity) {
      const victim = this.#policy.victim() as Filed;
      this.#entries.delete(victim.name);
      this.#policy.remove(victim);
    }
    return false;
  }

  /** It was changed or has expired. */
  drop(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#policy.remove(entry);
  }

  /** The share of hits. */
  readAll(names: readonly string[]): number {
    let hits = 0;
    for (const name of names) if (this.read(name)) hits += 1;
    return hits / names.length;
  }
}

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` names of `population`, the n-th as often as 1/n^skew says. */
export function zipf(options: {
  readonly population: number;
  readonly skew: number;
  readonly length: number;
  readonly random: () => number;
  readonly prefix: string;
}): string[] {
  const { population, skew, length, random, prefix } = options;
  const shares: number[] = [];
  let sum = 0;
  for (let n = 1; n <= population; n += 1) {
    sum += n ** -skew;
    shares.push(sum);
  }
  return Array.from({ length }, () => `${prefix}${place(shares, random() * sum)}`);
}

/** The first place whose share reaches `wanted`. */
function place(shares: readonly number[], wanted: number): number {
  let [low, high] = [0, shares.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((shares[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** New names, each read once. */
export const scan = (length: number, prefix: string): string[] =>
  Array.from({ length }, (_, i) => `${prefix}${i}`);
