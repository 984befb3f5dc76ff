import { describe, expect, test } from 'vitest';
import type { ClientConnection } from '../../../src/adapters/node-redis/connection.ts';
import {
  remainingOf,
  remainingTimes,
  SCRIPT_FROM_KEYS,
  SCRIPT_KEYS,
} from '../../../src/adapters/node-redis/remaining.ts';

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`);

/** A connection whose answers are given; what is sent is noted. */
function answering(answer: (args: readonly string[]) => unknown) {
  const sent: (readonly string[])[] = [];
  const connection = {
    send: async (args: readonly string[]) => {
      sent.push(args);
      const reply = answer(args);
      if (reply instanceof Error) throw reply;
      return reply;
    },
  };
  return {
    sent,
    ask: (keys: readonly (string | Buffer)[]) =>
      remainingTimes(connection as unknown as ClientConnection, keys),
  };
}

describe('asked for', () => {
  test.for([1, SCRIPT_FROM_KEYS - 1])('%d keys: a PTTL for each, in one go', async (count) => {
    const it = answering(([, key]) => Number(key?.slice(1)) * 100);
    const asked = it.ask(keysOf(count));
    expect(it.sent).toEqual(keysOf(count).map((key) => ['PTTL', key]));
    expect(await asked).toEqual(keysOf(count).map((_, i) => i * 100));
  });

  test('no key: nothing', async () => {
    const it = answering(() => 1);
    expect(await it.ask([])).toEqual([]);
    expect(it.sent).toEqual([]);
  });

  test.for([
    [SCRIPT_KEYS + 1, [16, 1]],
    [40, [16, 16, 8]],
    [100, [16, 16, 16, 16, 16, 16, 4]],
  ] as const)('%d keys: in parts, of which small ones are asked for one by one', async (given) => {
    const [count, parts] = given;
    const it = answering(([name, ...args]) =>
      name === 'PTTL'
        ? Number(args[0]?.slice(1))
        : args.slice(2).map((key) => Number(key.slice(1))),
    );
    expect(await it.ask(keysOf(count))).toEqual(keysOf(count).map((_, i) => i));
    const scripts = it.sent
      .filter(([name]) => name === 'EVALSHA')
      .map(([, , keys]) => Number(keys));
    const others = it.sent.filter(([name]) => name === 'PTTL').length;
    expect([...scripts, ...(others > 0 ? [others] : [])]).toEqual(parts);
  });

  test.for([SCRIPT_FROM_KEYS, SCRIPT_FROM_KEYS + 1, SCRIPT_KEYS])(
    '%d keys: one script with all of them, which is declared to read each',
    async (count) => {
      const it = answering((args) => args.slice(3).map((_, i) => i));
      expect(await it.ask(keysOf(count))).toEqual(keysOf(count).map((_, i) => i));
      expect(it.sent).toHaveLength(1);
      const [name, sha1, keys, ...rest] = it.sent[0] ?? [];
      expect([name, keys, rest]).toEqual(['EVALSHA', String(count), keysOf(count)]);
      expect(sha1).toMatch(/^[0-9a-f]{40}$/);
    },
  );

  test('a server that does not know the script is told it, once', async () => {
    const it = answering(([name]) =>
      name === 'EVALSHA' ? new Error('NOSCRIPT No matching script.') : keysOf(8).map(() => -1),
    );
    expect(await it.ask(keysOf(8))).toEqual(keysOf(8).map(() => -1));
    expect(it.sent.map(([name]) => name)).toEqual(['EVALSHA', 'EVAL']);
  });

  test('keys of bytes are asked for as they are', async () => {
    const it = answering(() => 1);
    const key = Buffer.from([0xff]);
    await it.ask([key]);
    expect(it.sent[0]?.[1]).toBe(key);
  });
});

describe('not answered', () => {
  test('one of a few keys: that one is unknown, the others are not', async () => {
    const it = answering(([, key]) => (key === 'k1' ? new Error('NOPERM') : 5));
    const times = await it.ask(keysOf(3));
    expect(times).toEqual([5, undefined, 5]);
    expect(remainingOf(times)).toBe('unknown');
  });

  test.for([
    ['an error', new Error('NOPERM no EVAL')],
    ['something else than a list', 'OK'],
    ['nothing', null],
  ] as const)('the script by %s: all are unknown', async ([, reply]) => {
    const it = answering(() => reply);
    expect(remainingOf(await it.ask(keysOf(8)))).toBe('unknown');
  });
});

describe('of several the shortest counts', () => {
  test.for([
    [[], { ms: 'none', isMissing: false }],
    [[-1], { ms: 'none', isMissing: false }],
    [[0], { ms: 0, isMissing: false }],
    [[500, -1, 300, 400], { ms: 300, isMissing: false }],
    [[-2], { ms: 'none', isMissing: true }],
    [[-2, 500], { ms: 500, isMissing: true }],
    [[500, -2, -1], { ms: 500, isMissing: true }],
  ] as const)('%j: %j', ([times, expected]) => {
    expect(remainingOf(times)).toEqual(expected);
  });

  test.for([[[undefined]], [[5, '5']], [[5, null]], [[5n]], [[{}, 5]]])(
    '%s: unknown',
    ([times]) => {
      expect(remainingOf(times as unknown[])).toBe('unknown');
    },
  );
});
