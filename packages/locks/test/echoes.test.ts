import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NO_ECHOES, pushSeen, unexplained, writeConfirmed } from '../src/lease/echoes.ts';

/**
 * What happens on one connection after a look at the key, in the order of the server: writes of
 * ours, and changes by others, of which only the first after a read of ours is pushed.
 */
type Happening = 'own' | 'foreign';

interface Heard {
  readonly what: 'push' | 'reply';
  readonly by: Happening;
}

/** The wire: each own write is a reply and then its echo. */
function wire(happenings: readonly Happening[]): Heard[] {
  let tracked = true;
  const frames: Heard[] = [];
  for (const by of happenings) {
    if (by === 'own') {
      // Not read since the change by another: reading first, the script tracks it again.
      frames.push({ what: 'reply', by }, { what: 'push', by });
      tracked = true;
    } else if (tracked) {
      frames.push({ what: 'push', by });
      tracked = false;
    }
  }
  return frames;
}

/** The reply's continuation runs later than up to `lag` frames that follow it. */
function handled(frames: readonly Heard[], lags: readonly number[]): Heard[] {
  return frames
    .map((frame, at) => ({ frame, at: at + (frame.what === 'reply' ? (lags[at] ?? 0) + 0.5 : 0) }))
    .sort((a, b) => a.at - b.at)
    .map(({ frame }) => frame);
}

const happenings = fc.array(fc.constantFrom<Happening>('own', 'foreign'), { maxLength: 12 });
const lags = fc.array(fc.nat(3), { minLength: 24, maxLength: 24 });

function counted(frames: readonly Heard[]): typeof NO_ECHOES {
  return frames.reduce(
    (echoes, { what }) => (what === 'push' ? pushSeen(echoes) : writeConfirmed(echoes, 1)),
    NO_ECHOES,
  );
}

test('once every reply has been counted, a push of somebody else always shows', () => {
  fc.assert(
    fc.property(happenings, lags, (what, lag) => {
      const frames = wire(what);
      const foreign = frames.some(({ by }) => by === 'foreign');
      expect(unexplained(counted(handled(frames, lag)))).toBe(foreign);
    }),
  );
});

test('echoes of our own writes alone never show, in whatever order they are handled', () => {
  fc.assert(
    fc.property(fc.nat(8), lags, (writes, lag) => {
      const frames = wire(Array<Happening>(writes).fill('own'));
      expect(unexplained(counted(handled(frames, lag)))).toBe(false);
    }),
  );
});
