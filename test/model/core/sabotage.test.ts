import type { Entry, Source, TrackingCache, TrackingPort, TrackingSession } from '@redcache/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyLife, emptyTally } from './life.ts';
import type { Sabotage } from './world.ts';

/** Many more than it takes: most are found within the first hundred, all within a thousand. */
const LIVES = 4_000;

type Parts = TrackingCache['internals'];

/** Engines that are broken in one way each, and the invariants of which one must be found violated. */
const SABOTAGES: Record<string, readonly [found: RegExp, sabotage: Sabotage]> = {
  'a push between send and reply is not noticed': [
    /I1|I2/,
    ({ internals }) => mute(internals.guards, 'push'),
  ],
  'a flush between send and reply is not noticed': [
    /I1|I2/,
    ({ internals }) => mute(internals.guards, 'severAll'),
  ],
  'an own write between send and reply is not noticed': [
    /I1|I2|I6/,
    ({ internals }) => mute(internals.guards, 'sever'),
  ],
  'reads are kept while an own write is under way': [
    /I2|I6/,
    ({ internals }) => {
      internals.guards.isFenced = () => false;
    },
  ],
  'an own write drops nothing': [/I1|I2|I6/, ({ internals }) => mute(internals.hub, 'wrote')],
  'a push drops what is filed under the key alone': [
    /I1|I6/,
    ({ internals: { store } }) => {
      const { invalidate } = store;
      store.invalidate = (key, cause, from) => {
        const replies = store.dependentsOf(key);
        const dropped = invalidate.call(store, key, cause, from);
        for (const reply of replies) store.add(reply);
        return dropped;
      };
    },
  ],
  'a flush leaves everything where it is': [
    /I1/,
    ({ internals: { store } }) => {
      const { clear } = store;
      store.clear = (cause) => (cause === 'flush' ? 0 : clear.call(store, cause));
    },
  ],
  'what was read on a lost connection is still served': [
    /T2|entries while/,
    ({ internals: { store } }) => {
      store.lose = () => 0;
    },
  ],
  'what was read on a lost connection is suspect for ever': [
    /I3|I4/,
    ({ internals }) => mute(internals.store, 'dropSuspects'),
  ],
  'a suspect is shown that was invalidated': [
    /I1|I2|I6/,
    ({ internals: { store } }) => {
      const { invalidate } = store;
      store.invalidate = (key, cause, from) =>
        store.suspects > 0 ? 0 : invalidate.call(store, key, cause, from);
    },
  ],
  'a suspect is shown that is past its time': [
    /I3/,
    ({ internals: { store } }) =>
      onAdd(store, (entry) => {
        entry.isSuspect = () => entry.source.suspect;
      }),
  ],
  'what the server tracks no more counts as lost with its connection': [
    /I4/,
    ({ internals: { store } }) => {
      store.lose = (source) => store.suspect(source);
    },
  ],
  'listeners are called before the store drops anything': [
    /I1/,
    ({ internals: { hub, store } }) => {
      const { invalidate } = hub;
      hub.invalidate = (keys, line) => {
        const drop = store.invalidate;
        store.invalidate = () => 0;
        invalidate.call(hub, keys, line);
        store.invalidate = drop;
        for (const key of keys) store.invalidate(key, 'invalidation', line?.source);
      };
    },
  ],
  'a load that was overtaken can be joined': [
    /I1/,
    ({ internals: { flights } }) => {
      const { begin } = flights;
      flights.begin = (started) => {
        const flight = begin.call(flights, started);
        const { detach } = flight;
        flight.detach = () => {
          if (flight.landed) detach.call(flight);
        };
        return flight;
      };
    },
  ],
  'time left is counted from the reply': [
    /I3|I4/,
    (cache) => {
      const { guard } = cache;
      cache.guard = (...how) => {
        const opened = guard.apply(cache, how);
        return Object.defineProperty(opened, 'openedAtMs', { get: () => cache.clock.nowMs() });
      };
    },
  ],
  'an entry ends by a timer, and not by the clock': [
    /I3|I4/,
    ({ internals: { store } }) =>
      onAdd(store, (entry) => {
        entry.serves = (nowMs) => nowMs < entry.source.servesUntilMs;
      }),
  ],
  'a silent connection is believed for ever': [
    /I4|T5/,
    ({ internals: { store } }) =>
      onAdd(store, (entry) => {
        entry.serves = (nowMs) => nowMs < entry.deadlineAtMs && !entry.source.lost;
      }),
  ],
  'what is heard counts from the answer, not from the question': [
    /I4/,
    (cache) =>
      onSession(cache, (session) => {
        const { heard } = session;
        session.heard = (source: Source) => heard.call(session, source, cache.clock.nowMs());
      }),
  ],
  'a silent connection is left as it is': [
    /I4/,
    (cache) => onDriven(cache, (_, port) => mute(port, 'replace')),
  ],
  'guards are left open': [
    /I12/,
    (cache) => {
      const { close } = cache.internals.guards;
      cache.internals.guards.close = (guard) =>
        guard.intact && close.call(cache.internals.guards, guard);
    },
  ],
  'a close leaves its connections as they are': [
    /I14/,
    (cache) =>
      onSession(cache, (session) => {
        const { dispatch } = session;
        session.dispatch = (event) => {
          if (event.is !== 'close') dispatch.call(session, event);
        };
      }),
  ],
};

test.for(Object.entries(SABOTAGES))(
  'it is found when %s',
  { timeout: 60_000 },
  async ([, [found, sabotage]]) => {
    const tally = emptyTally();
    const result = await fc.check(anyLife(tally, sabotage), { numRuns: LIVES, endOnFailure: true });
    expect(result.failed).toBe(true);
    expect(String(result.errorInstance)).toMatch(found);
  },
);

function mute<K extends string>(of: Record<K, () => void> | object, name: K): void {
  (of as Record<K, () => void>)[name] = () => {};
}

function onAdd(store: Parts['store'], change: (entry: Entry) => void): void {
  const { add } = store;
  store.add = (entry) => {
    change(entry);
    return add.call(store, entry);
  };
}

type Driven = { -readonly [K in keyof TrackingPort]: TrackingPort[K] };

function onDriven(
  cache: TrackingCache,
  change: (session: TrackingSession, port: Driven) => void,
): void {
  onSession(cache, (session) => {
    const { drive } = session;
    session.drive = (port) => {
      change(session, port);
      drive.call(session, port);
    };
  });
}

function onSession(cache: TrackingCache, change: (session: TrackingSession) => void): void {
  const { openSession } = cache;
  cache.openSession = (rules) => {
    const session = openSession.call(cache, rules);
    change(session);
    return session;
  };
}
