/**
 * The value that `part` of all values do not exceed, by nearest rank: one of the values, never
 * something between two.
 */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new Error('no values, no quantile');
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] as number;
}
