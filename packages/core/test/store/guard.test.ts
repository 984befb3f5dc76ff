import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import { Guard, Guards, type Line, type OnBroken } from '../../src/store/guard.ts';
import { Source } from '../../src/store/source.ts';

const lineOf = (source: Source | undefined): Line => ({
  source,
  echoesWrites: true,
  rules: { maxStalenessMs: 1_000 },
  heard: () => {},
});

const guardOf = (
  keys: readonly string[],
  onBroken?: OnBroken,
  { severed = false, line = lineOf(new Source()) } = {},
): Guard =>
  new Guard({ keys, openedAtMs: 5, line, severed, listener: onBroken && { broken: onBroken } });

function opened(
  keys: readonly string[],
  { guards = new Guards(), severed = false, line = lineOf(new Source()) } = {},
) {
  const broken: string[] = [];
  const guard = guardOf(keys, (by) => broken.push(by), { severed, line });
  guards.open(guard);
  return { guards, guard, broken };
}

describe('I2: what breaks a guard', () => {
  test('nothing at first, and it says when it was opened', () => {
    const { guard, broken } = opened(['k']);
    expect(guard).toMatchObject({ intact: true, pushes: 0, severed: false, openedAtMs: 5 });
    expect(broken).toEqual([]);
  });

  test('a push of any of its keys, counted', () => {
    const { guards, guard } = opened(['a', 'b']);
    guards.push('b');
    guards.push('a');
    expect(guard).toMatchObject({ intact: false, pushes: 2, severed: false });
  });

  test('severing all, which is no push', () => {
    const { guards, guard } = opened(['k']);
    guards.severAll();
    expect(guard).toMatchObject({ intact: false, pushes: 0, severed: true });
  });

  test('the beginning of a fence of one of its keys, and the end of one', () => {
    const guards = new Guards();
    const before = opened(['a', 'k'], { guards }).guard;
    guards.fence('k');
    expect(before.severed).toBe(true);
    const during = opened(['k', 'b'], { guards }).guard;
    guards.unfence('k');
    expect(during.severed).toBe(true);
  });

  test('a command of one of its keys that is sent elsewhere, or where nobody hears of changes', () => {
    const [line, other] = [lineOf(new Source()), lineOf(new Source())];
    for (const elsewhere of [other, undefined]) {
      const { guards, guard, broken } = opened(['a', 'k'], { line });
      guards.severOthers('k', line);
      guards.severOthers('other', elsewhere);
      expect(guard.intact).toBe(true);
      guards.severOthers('k', elsewhere);
      expect(guard).toMatchObject({ intact: false, pushes: 0, severed: true });
      expect(broken).toEqual(['severed']);
    }
  });

  test('only what concerns its keys', () => {
    const { guards, guard } = opened(['k']);
    guards.push('other');
    guards.sever('other');
    guards.fence('other');
    guards.unfence('other');
    expect(guard.intact).toBe(true);
  });

  test('one that was severed from the start is never intact', () => {
    expect(opened(['k'], { severed: true }).guard).toMatchObject({ intact: false, severed: true });
  });
});

test('two fences of a key: it is free when both have ended', () => {
  const guards = new Guards();
  expect(guards.isFenced(['a', 'k'])).toBe(false);
  guards.fence('k');
  guards.fence('k');
  guards.unfence('k');
  expect(guards.isFenced(['a', 'k'])).toBe(true);
  expect(guards.isFenced(['a'])).toBe(false);
  guards.unfence('k');
  expect(guards.isFenced(['a', 'k'])).toBe(false);
  expect(guards.fencedKeys).toBe(0);
});

describe('onBroken', () => {
  test('is told of the first push and of the first severing, whichever comes first', () => {
    const pushed = opened(['k']);
    pushed.guards.push('k');
    pushed.guards.push('k');
    pushed.guards.severAll();
    pushed.guards.severAll();
    expect(pushed.broken).toEqual(['push', 'severed']);
    const severed = opened(['k']);
    severed.guards.severAll();
    severed.guards.push('k');
    expect(severed.broken).toEqual(['severed', 'push']);
  });

  test('is not told that the guard was severed from the start, but of what happens later', () => {
    const { guards, broken } = opened(['k'], { severed: true });
    expect(broken).toEqual([]);
    guards.severAll();
    expect(broken).toEqual(['severed']);
  });

  test('that throws is reported, and every other guard breaks all the same', () => {
    const guards = new Guards();
    const error = new Error('mine');
    const throwing = guardOf(['k'], () => {
      throw error;
    });
    guards.open(throwing);
    const { guard } = opened(['k'], { guards });
    const messages: unknown[] = [];
    const note = (message: unknown): void => void messages.push(message);
    subscribe('redcache:callback-error', note);
    guards.push('k');
    guards.severAll();
    unsubscribe('redcache:callback-error', note);
    expect([throwing, guard]).toMatchObject([
      { severed: true, pushes: 1 },
      { severed: true, pushes: 1 },
    ]);
    expect(messages).toEqual([
      { callback: 'onBroken', error },
      { callback: 'onBroken', error },
    ]);
  });

  test('may open a guard of the same key, which began after the push', () => {
    const guards = new Guards();
    const second = guardOf(['k']);
    guards.open(guardOf(['k'], () => guards.open(second)));
    guards.push('k');
    expect(second.intact).toBe(true);
    guards.push('k');
    expect(second.intact).toBe(false);
  });
});

describe('the connection that its command travels on', () => {
  test('is the one that there was when it was opened, whatever comes after it', () => {
    const [before, after] = [new Source(), new Source()];
    const line = { ...lineOf(before) };
    const { guard } = opened(['k'], { line });
    Object.assign(line, { source: after });
    expect(guard.source).toBe(before);
    expect(guardOf(['k'], undefined, { line }).source).toBe(after);
    expect(guardOf(['k'], undefined, { line: lineOf(undefined) }).source).toBeUndefined();
  });

  test('when it is lost severs the guards of its own, and no others', () => {
    const guards = new Guards();
    const [lost, other] = [new Source(), new Source()];
    const mine = ['a', 'b'].map((key) => opened([key], { guards, line: lineOf(lost) }));
    const theirs = opened(['a'], { guards, line: lineOf(other) });
    const down = opened(['a'], { guards, line: lineOf(undefined) });
    guards.severFrom(lost);
    expect(mine.map(({ guard, broken }) => [guard.severed, broken])).toEqual([
      [true, ['severed']],
      [true, ['severed']],
    ]);
    expect([theirs.guard.intact, theirs.broken, down.broken]).toEqual([true, [], []]);
  });
});

describe('disturbed', () => {
  test.for(['push', 'sever', 'fence'] as const)(
    'by a %s, also of one severed from the start',
    (how) => {
      const { guards, guard } = opened(['k'], { severed: true });
      expect(guard).toMatchObject({ disturbed: false, severed: true });
      guards[how]('k');
      expect(guard.disturbed).toBe(true);
    },
  );
});

describe('closing', () => {
  test('answers true once, so that a guard admits one fill', () => {
    const { guards, guard } = opened(['k']);
    expect([guards.close(guard), guards.close(guard)]).toEqual([true, false]);
  });

  test('a closed guard hears nothing', () => {
    const { guards, guard, broken } = opened(['k']);
    guards.close(guard);
    guards.push('k');
    guards.severAll();
    expect(broken).toEqual([]);
    expect(guard.intact).toBe(true);
  });

  test('one that was never opened here is not closed', () => {
    expect(new Guards().close(guardOf(['k']))).toBe(false);
  });

  test('I12: leaves nothing behind, also with a key named twice', () => {
    const guards = new Guards();
    const all = Array.from({ length: 50 }, (_, i) => guardOf([`${i % 7}`, 'k', 'k']));
    for (const guard of all) guards.open(guard);
    expect(guards.size).toBe(50);
    for (const guard of all) expect(guards.close(guard)).toBe(true);
    expect(guards.size).toBe(0);
    const { guard } = opened(['k'], { guards });
    guards.push('k');
    expect(guard.pushes).toBe(1);
  });
});
