import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Copy } from '../../src/read/copy.ts';
import { type AgeRules, judge } from '../../src/read/judgement.ts';

const NO_RULES: AgeRules = {
  graceMs: 0,
  staleIfErrorMs: 0,
  earlyRefresh: undefined,
  hotKeys: undefined,
};

/** Written at 1 000, fresh for 1 000. */
const copyOf = (loadMs = 100): Copy =>
  new Copy(
    { value: 'v', id: 'id', ttlMs: 1_000, loadMs, freshUntilMs: 2_000, epoch: 1, tags: [] },
    false,
  );

test.for([
  [1_999, { graceMs: 500, staleIfErrorMs: 900 }, 'fresh'],
  [2_000, {}, 'over'],
  [2_000, { graceMs: 500 }, 'grace'],
  [2_499, { graceMs: 500 }, 'grace'],
  [2_500, { graceMs: 500 }, 'over'],
  [2_500, { graceMs: 500, staleIfErrorMs: 900 }, 'if-error'],
  [2_899, { graceMs: 500, staleIfErrorMs: 900 }, 'if-error'],
  [2_900, { graceMs: 500, staleIfErrorMs: 900 }, 'over'],
  [2_000, { staleIfErrorMs: 900 }, 'if-error'],
] as const)('at %d under %j a value is %s', ([nowMs, rules, judgement]) => {
  expect(judge(copyOf(), { ...NO_RULES, ...rules }, nowMs, 0.5)).toBe(judgement);
});

test('nothing is loaded anew before its floor, however lucky', () => {
  const rules = { ...NO_RULES, earlyRefresh: { after: 0.8, beta: 1 } };
  const lucky = 1 - Number.EPSILON;
  expect(judge(copyOf(10_000), rules, 1_799, lucky)).toBe('fresh');
  expect(judge(copyOf(10_000), rules, 1_800, lucky)).toBe('early');
});

test('whether it is loaded anew early is as likely as XFetch says', () => {
  const milliseconds = fc.integer({ min: 1, max: 1_000 });
  const beta = fc.double({ min: 0.1, max: 10, noNaN: true });
  fc.assert(
    fc.property(milliseconds, milliseconds, beta, (loadMs, leftMs, beta) => {
      const rules = { ...NO_RULES, earlyRefresh: { after: 0, beta } };
      // −loadMs · beta · ln(1 − chance) reaches what is left at this chance.
      const turning = 1 - Math.exp(-leftMs / (loadMs * beta));
      fc.pre(turning > 1e-9 && turning < 1 - 1e-9);
      const at = (chance: number) => judge(copyOf(loadMs), rules, 2_000 - leftMs, chance);
      expect(at(turning - turning * 1e-6)).toBe('fresh');
      expect(at(turning + (1 - turning) * 1e-6)).toBe('early');
    }),
  );
});

test('a chance of nothing never loads anew, whatever is left', () => {
  const rules = { ...NO_RULES, earlyRefresh: { after: 0, beta: 10 } };
  expect(judge(copyOf(), rules, 1_999, 0)).toBe('fresh');
});

test('a value that is used often enough within the window is hot, and counted anew after it', () => {
  const rules = { ...NO_RULES, hotKeys: { threshold: 3, windowMs: 100 } };
  const copy = copyOf();
  const at = (nowMs: number) => judge(copy, rules, nowMs, 0);
  // Counted before 0.8 of its life is over, and used then.
  expect([at(1_750), at(1_760), at(1_799)]).toEqual(['fresh', 'fresh', 'fresh']);
  expect(at(1_800)).toBe('hot');
  expect([at(1_850), at(1_860), at(1_870)]).toEqual(['fresh', 'fresh', 'hot']);
});

test('an age is never below nothing, though a key was given more time', () => {
  expect(copyOf().ageMs(1_400)).toBe(400);
  expect(copyOf().ageMs(400)).toBe(0);
});
