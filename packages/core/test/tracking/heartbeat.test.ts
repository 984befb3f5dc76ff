import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/testing/index.ts';
import { Heartbeat, type Pulse, type Verdict, verdict } from '../../src/tracking/heartbeat.ts';

const MAX_MS = 1_000;

describe('the verdict, with at most 1000 ms of silence', () => {
  const pulse = { nowMs: 0, heardAtMs: 0, answeredAtMs: 0, isNeeded: true, isBeating: false };
  const rows: [string, Partial<Pulse>, Verdict][] = [
    ['not needed: rest', { nowMs: 100, isNeeded: false }, { is: 'rest' }],
    ['not needed, silent for long: rest', { nowMs: 9e9, isNeeded: false }, { is: 'rest' }],
    [
      'not needed any more, but asked: wait',
      { nowMs: 500, isNeeded: false, isBeating: true },
      { is: 'wait', untilMs: 1_000 },
    ],
    [
      'not needed any more, asked, at all of it: silent',
      { nowMs: 1_000, isNeeded: false, isBeating: true },
      { is: 'silent', untilMs: 1_500 },
    ],
    ['just heard: wait for half', {}, { is: 'wait', untilMs: 500 }],
    ['just before half: wait', { nowMs: 499 }, { is: 'wait', untilMs: 500 }],
    ['at half: beat, and look again at all of it', { nowMs: 500 }, { is: 'beat', untilMs: 1_000 }],
    ['between half and all of it: beat', { nowMs: 800 }, { is: 'beat', untilMs: 1_300 }],
    [
      'long after, never asked: beat, since nothing is silence that nothing was asked of',
      { nowMs: 90_000 },
      { is: 'beat', untilMs: 90_500 },
    ],
    [
      'others are answered, but nothing that proves as much: beat at half all the same',
      { nowMs: 500, answeredAtMs: 490 },
      { is: 'beat', untilMs: 1_000 },
    ],
    ['asked, at half: wait', { nowMs: 500, isBeating: true }, { is: 'wait', untilMs: 1_000 }],
    [
      'asked, just before all: wait',
      { nowMs: 999, isBeating: true },
      { is: 'wait', untilMs: 1_000 },
    ],
    [
      'asked, at all of it: silent',
      { nowMs: 1_000, isBeating: true },
      { is: 'silent', untilMs: 1_500 },
    ],
    [
      'asked and not answered, but others are: wait',
      { nowMs: 1_000, answeredAtMs: 900, isBeating: true },
      { is: 'wait', untilMs: 1_900 },
    ],
  ];
  test.for(rows)('%s', ([, given, expected]) => {
    expect(verdict({ ...pulse, ...given }, MAX_MS)).toEqual(expected);
  });

  test('never looks again in the past, nor later than all of it after the last answer and now', () => {
    fc.assert(
      fc.property(
        fc.record({
          nowMs: fc.nat(5_000),
          heardAgoMs: fc.nat(5_000),
          answeredAgoMs: fc.nat(5_000),
          isBeating: fc.boolean(),
        }),
        ({ nowMs, heardAgoMs, answeredAgoMs, isBeating }) => {
          const answeredAtMs = nowMs - Math.min(answeredAgoMs, heardAgoMs);
          const given = { nowMs, heardAtMs: nowMs - heardAgoMs, answeredAtMs, isBeating };
          const found = verdict({ ...given, isNeeded: true }, MAX_MS);
          if (found.is === 'rest') throw new Error('it is needed');
          expect(found.untilMs).toBeGreaterThan(nowMs);
          expect(found.untilMs).toBeLessThanOrEqual(nowMs + MAX_MS);
          if (found.is === 'silent') expect(nowMs - answeredAtMs).toBeGreaterThanOrEqual(MAX_MS);
        },
      ),
    );
  });
});

/** A heartbeat on a clock that stands still; what it did is noted with the time since the start. */
function watched({ maxMs = MAX_MS, answers = false } = {}) {
  const clock = new ManualClock();
  const startMs = clock.nowMs();
  const did: [string, number][] = [];
  const note = (what: string): void => void did.push([what, clock.nowMs() - startMs]);
  const heart = { isNeeded: true, answers };
  const heartbeat: Heartbeat = new Heartbeat(clock, maxMs, {
    isNeeded: () => heart.isNeeded,
    beat: () => {
      note('beat');
      if (heart.answers) heartbeat.heard();
    },
    silent: () => note('silent'),
  });
  return { clock, did, heart, heartbeat, note };
}

describe('a connection that is watched', () => {
  test('and used is never asked', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    for (let i = 0; i < 100; i += 1) {
      clock.advance(499);
      heartbeat.heard();
    }
    expect(did).toEqual([]);
  });

  test('idle and needed is asked once each half of what silence may last', () => {
    const { clock, did, heartbeat } = watched({ answers: true });
    heartbeat.watch();
    clock.advance(2_000);
    expect(did).toEqual([
      ['beat', 500],
      ['beat', 1_000],
      ['beat', 1_500],
      ['beat', 2_000],
    ]);
  });

  test('that does not answer is silent at all of it, and again after each half until it is stopped', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(999);
    expect(did).toEqual([['beat', 500]]);
    clock.advance(1_001);
    expect(did).toEqual([
      ['beat', 500],
      ['silent', 1_000],
      ['silent', 1_500],
      ['silent', 2_000],
    ]);
    heartbeat.stop();
    clock.advance(10_000);
    expect(did).toHaveLength(4);
    expect(clock.timers).toBe(0);
  });

  test('that answers too late for a verdict is asked again as before', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(1_200);
    heartbeat.heard();
    clock.advance(600);
    expect(did).toEqual([
      ['beat', 500],
      ['silent', 1_000],
      ['beat', 1_700],
    ]);
  });

  test('is not silent while other commands are answered, though the beat is not', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    for (let i = 0; i < 20; i += 1) {
      clock.advance(400);
      heartbeat.answered();
    }
    expect(did).toEqual([['beat', 500]]);
    clock.advance(999);
    expect(did).toHaveLength(1);
    clock.advance(1);
    expect(did.at(-1)?.[0]).toBe('silent');
  });

  test('where others prove less than a beat, is asked each half though it is used', () => {
    const { clock, did, heartbeat } = watched({ answers: true });
    heartbeat.watch();
    for (let i = 0; i < 20; i += 1) {
      clock.advance(100);
      heartbeat.answered();
    }
    expect(did).toEqual([
      ['beat', 500],
      ['beat', 1_000],
      ['beat', 1_500],
      ['beat', 2_000],
    ]);
  });

  test('may be stopped by what is told that it is silent', () => {
    const clock = new ManualClock();
    let silences = 0;
    const heartbeat: Heartbeat = new Heartbeat(clock, MAX_MS, {
      isNeeded: () => true,
      beat: () => {},
      silent: () => {
        silences += 1;
        heartbeat.stop();
      },
    });
    heartbeat.watch();
    clock.advance(10_000);
    expect([silences, clock.timers]).toEqual([1, 0]);
  });
});

describe('a connection that nobody depends on', () => {
  test('is left alone, with no timer, until somebody does', () => {
    const { clock, did, heart, heartbeat } = watched({ answers: true });
    heartbeat.watch();
    heart.isNeeded = false;
    clock.advance(600);
    expect([did, clock.timers]).toEqual([[], 0]);
    clock.advance(60_000);
    heart.isNeeded = true;
    expect(heartbeat.watch()).toBe(true);
    clock.advance(500);
    expect(did).toEqual([['beat', 61_100]]);
  });

  test('is not called silent for the time in which it was left alone', () => {
    const { clock, did, heart, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(500);
    heartbeat.heard();
    heart.isNeeded = false;
    clock.advance(60_000);
    heart.isNeeded = true;
    heartbeat.watch();
    clock.advance(999);
    expect(did.map(([what]) => what)).toEqual(['beat', 'beat']);
    clock.advance(1);
    expect(did.at(-1)).toEqual(['silent', 61_500]);
  });

  test('is left alone only when it has answered what it was asked before', () => {
    const { clock, did, heart, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(500);
    heart.isNeeded = false;
    clock.advance(500);
    expect(did).toEqual([
      ['beat', 500],
      ['silent', 1_000],
    ]);
    heartbeat.heard();
    clock.advance(60_000);
    expect([did.length, clock.timers]).toEqual([2, 0]);
  });

  test('watching one that is watched changes nothing', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(400);
    expect(heartbeat.watch()).toBe(false);
    expect(clock.timers).toBe(1);
    clock.advance(100);
    expect(did).toEqual([['beat', 500]]);
  });
});

test('where silence does not matter there is no timer', () => {
  const { clock, heartbeat } = watched({ maxMs: Number.POSITIVE_INFINITY });
  expect(heartbeat.watch()).toBe(false);
  expect(clock.timers).toBe(0);
});

test('when something was last answered can be asked', () => {
  const { clock, heartbeat } = watched();
  expect(heartbeat.answeredAtMs).toBe(Number.NEGATIVE_INFINITY);
  clock.advance(5);
  heartbeat.heard();
  expect(heartbeat.answeredAtMs).toBe(clock.nowMs());
  clock.advance(5);
  heartbeat.answered();
  expect(heartbeat.answeredAtMs).toBe(clock.nowMs());
});

describe('a process that was stopped', () => {
  test('after a beat: the loop reads the answer before the verdict', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(500);
    clock.jump(60_000);
    clock.advance(0);
    expect(did).toEqual([['beat', 500]]);
    heartbeat.heard();
    clock.advance(20);
    expect(did).toEqual([['beat', 500]]);
    clock.advance(480);
    expect(did.map(([what]) => what)).toEqual(['beat', 'beat']);
  });

  test('and a connection that is silent all the same: it is noticed after a moment', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(500);
    clock.jump(60_000);
    clock.advance(19);
    expect(did).toEqual([['beat', 500]]);
    clock.advance(1);
    expect(did).toEqual([
      ['beat', 500],
      ['silent', 60_520],
    ]);
  });

  test('before any beat: it is asked first, and has its time to answer', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.jump(60_000);
    clock.advance(20);
    expect(did).toEqual([['beat', 60_020]]);
    clock.advance(499);
    expect(did).toHaveLength(1);
  });

  test('and a heartbeat that is stopped in that moment says nothing more', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.advance(500);
    clock.jump(60_000);
    clock.advance(0);
    heartbeat.stop();
    clock.advance(60_000);
    expect([did.length, clock.timers]).toEqual([1, 0]);
  });

  test('a timer that is a little late is none', () => {
    const { clock, did, heartbeat } = watched();
    heartbeat.watch();
    clock.jump(520);
    clock.advance(0);
    expect(did).toEqual([['beat', 520]]);
  });
});

test('whatever is answered when: one that is asked is answered, or called silent in time', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ waitMs: fc.nat(700), is: fc.constantFrom('heard', 'answered', 'none') }),
      ),
      (steps) => {
        const { clock, did, heartbeat } = watched();
        heartbeat.watch();
        let answeredAtMs = clock.nowMs();
        const startMs = answeredAtMs;
        for (const { waitMs, is } of steps) {
          const before = did.length;
          clock.advance(waitMs);
          for (const [what, atMs] of did.slice(before))
            if (what === 'silent')
              expect(atMs + startMs - answeredAtMs).toBeGreaterThanOrEqual(MAX_MS);
          // 1.5 times: a beat that was late has its time.
          if (clock.nowMs() - answeredAtMs >= 1.5 * MAX_MS)
            expect(
              did.some(([what, atMs]) => what === 'silent' && atMs + startMs > answeredAtMs),
            ).toBe(true);
          if (is === 'none') continue;
          if (is === 'heard') heartbeat.heard();
          else heartbeat.answered();
          answeredAtMs = clock.nowMs();
        }
      },
    ),
  );
});
