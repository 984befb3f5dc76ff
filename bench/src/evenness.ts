/** The smallest share as a part of the largest: 1 if all have as much, 0 if one has nothing. */
export function evenness(shares: readonly number[]): number {
  const most = Math.max(...shares);
  if (!(most > 0)) throw new Error('nobody had a share of anything');
  return Math.min(...shares) / most;
}

/** What all have together. */
export function total(shares: readonly number[]): number {
  return shares.reduce((sum, share) => sum + share, 0);
}
