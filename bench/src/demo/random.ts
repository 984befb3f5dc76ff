/** Answers numbers from 0 (included) to below 1, the same sequence for the same seed. */
export type Random = () => number;

/** The `mulberry32` generator: 32 bits of state, and good enough to pick keys with. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same values in an order that depends on the random numbers alone. */
export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const drawn = values.map((value) => ({ value, lot: random() }));
  return drawn.sort((a, b) => a.lot - b.lot).map(({ value }) => value);
}
