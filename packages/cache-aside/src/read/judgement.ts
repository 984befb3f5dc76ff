import type { Copy } from './copy.ts';

/** XFetch: `after` which part of its life a value may be loaded anew, and how eagerly. */
export interface EarlyRefresh {
  readonly after: number;
  readonly beta: number;
}

/** A value that is used so often within that time is loaded anew before it ages. */
export interface HotKeys {
  readonly threshold: number;
  readonly windowMs: number;
}

/** What a policy says about age. */
export interface AgeRules {
  readonly graceMs: number;
  readonly staleIfErrorMs: number;
  readonly earlyRefresh: EarlyRefresh | undefined;
  readonly hotKeys: HotKeys | undefined;
}

/**
 * `fresh`: serve it. `early`, `hot`: serve it and load it anew behind. `grace`: it has aged, and may be
 * served while it is loaded anew. `if-error`: it may be served only if that fails. `over`: it may not.
 */
export type Judgement = 'fresh' | 'early' | 'hot' | 'grace' | 'if-error' | 'over';

/** Of their life, where hot keys are wanted and early refresh is not. */
const HOT_AFTER = 0.8;

/** What may be done with a copy that nobody has changed. `chance`: from 0 (included) to 1 (excluded). */
export function judge(copy: Copy, rules: AgeRules, nowMs: number, chance: number): Judgement {
  const leftMs = copy.freshUntilMs - nowMs;
  if (leftMs > 0) return whileFresh(copy, rules, nowMs, chance);
  if (-leftMs < rules.graceMs) return 'grace';
  return -leftMs < rules.staleIfErrorMs ? 'if-error' : 'over';
}

function whileFresh(
  copy: Copy,
  { earlyRefresh, hotKeys }: AgeRules,
  nowMs: number,
  chance: number,
): Judgement {
  // Counted before its time has come as well.
  const isHot = hotKeys !== undefined && countUse(copy, hotKeys, nowMs);
  const after = earlyRefresh?.after ?? HOT_AFTER;
  if (copy.ageMs(nowMs) < copy.ttlMs * after) return 'fresh';
  if (isHot) return 'hot';
  const leftMs = copy.freshUntilMs - nowMs;
  return earlyRefresh !== undefined && wins(copy.loadMs, earlyRefresh, leftMs, chance)
    ? 'early'
    : 'fresh';
}

/**
 * Each use of an ageing value draws, the longer the load and the nearer the end the more likely, so that
 * one of many who use it loads it anew in time: A. Vattani, F. Chierichetti, K. Lowenstein, "Optimal
 * Probabilistic Cache Stampede Prevention", Proceedings of the VLDB Endowment 8(8), 2015.
 */
function wins(loadMs: number, { beta }: EarlyRefresh, leftMs: number, chance: number): boolean {
  // From 0 (excluded) to 1 (included), whose logarithm is finite.
  return -loadMs * beta * Math.log(1 - chance) >= leftMs;
}

/** Whether it is hot with this use. Counted on the copy itself, so that it costs no memory of its own. */
function countUse(copy: Copy, { threshold, windowMs }: HotKeys, nowMs: number): boolean {
  if (nowMs - copy.hotSinceMs >= windowMs) {
    copy.hotSinceMs = nowMs;
    copy.uses = 0;
  }
  copy.uses += 1;
  return copy.uses >= threshold;
}
