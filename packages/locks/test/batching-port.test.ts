import type { Argument, CommandPort } from '@redcache/core';
import { ErrorReply } from 'redis';
import { expect, test } from 'vitest';
import { BatchingPort } from '../src/batching-port.ts';
import { defineBatched } from '../src/scripts/batched.ts';

const ONE = defineBatched({ args: 1, header: '', steps: { second: 'return ARGV[1]' } });
const OTHER = defineBatched({ args: 1, header: '', steps: { second: 'return KEYS[1]' } });

/** Answers each call with the argument it was given, unless it is told to answer otherwise. */
function openPort({ mayBatch = true } = {}) {
  const sent: (readonly Argument[])[] = [];
  let isUp = true;
  let answer = (args: readonly Argument[]): unknown => {
    const [name, , count, ...rest] = args;
    if (name !== 'EVALSHA') return 'OK';
    return count === '1' ? rest[1] : rest.slice(Number(count));
  };
  const port: CommandPort = {
    send: async (args) => {
      sent.push(args);
      return answer(args);
    },
    onConnection: () => () => {},
  };
  return {
    port: new BatchingPort(port, { mayBatch, isUp: () => isUp }),
    /** The keys of the scripts that were sent, or the names of other commands. */
    sent: () =>
      sent.map(([name, , count, ...rest]) =>
        name === 'EVALSHA' ? rest.slice(0, Number(count)) : name,
      ),
    answer: (as: typeof answer) => {
      answer = as;
    },
    cut: () => {
      isUp = false;
    },
  };
}

test('the first call of a turn leaves at once, the others of its script together', async () => {
  const { port, sent } = openPort();
  const keys = ['a', 'b', 'c', 'd'];
  const calls = keys.map((key, i) => port.call(ONE, key, [], String(i)));
  expect(sent()).toEqual([['a']]);
  expect(await Promise.all(calls)).toEqual(['0', '1', '2', '3']);
  expect(sent()).toEqual([['a'], ['b', 'c', 'd']]);
  expect(await port.call(ONE, 'e', [], 'again')).toBe('again');
  expect(sent()).toHaveLength(3);
});

test('no script runs for more than 32 keys', async () => {
  const { port, sent } = openPort();
  const keys = Array.from({ length: 70 }, (_, i) => `k${i}`);
  await Promise.all(keys.map((key) => port.call(ONE, key, [], '1')));
  expect(sent().map((each) => each?.length)).toEqual([1, 32, 32, 5]);
  expect(sent().flat()).toEqual(keys);
});

test('calls that want different things go apart, and too many such not at all together', async () => {
  const { port, sent, answer } = openPort();
  answer(([, , count, ...rest]) => (count === '1' ? rest.at(-1) : rest.slice(Number(count) + 1)));
  const call = (key: string, want: string): Promise<unknown> => port.call(ONE, key, [want], key);
  const wants = [...'xyxyx'].map((want, i) => call(String(i), want));
  expect(await Promise.all(wants)).toEqual(['0', '1', '2', '3', '4']);
  expect(sent()).toEqual([['0'], ['1', '3'], ['2', '4']]);
  const many = Array.from({ length: 12 }, (_, i) => call(`k${i}`, `want ${i % 10}`));
  // One at once, and eight when the ninth comes.
  expect(sent()).toHaveLength(3 + 1 + 8);
  expect(await Promise.all(many)).toEqual(many.map((_, i) => `k${i}`));
});

test('what concerns one key leaves in the order of the calls', async () => {
  const { port, sent } = openPort();
  await Promise.all([
    port.call(ONE, 'a', [], '1'),
    port.call(ONE, 'b', [], '1'),
    port.call(ONE, 'c', [], '1'),
    port.call(OTHER, 'c', [], '1'),
    port.call(OTHER, 'c', [], '2'),
    port.call(ONE, 'd', [], '1'),
    port.send(['PING']),
    port.call(ONE, 'e', [], '1'),
  ]);
  expect(sent()).toEqual([['a'], ['b', 'c'], ['c'], ['c'], ['d'], 'PING', ['e']]);
});

test('what goes wrong for one key is the error of that call alone', async () => {
  const { port, answer } = openPort();
  const wrong = new ErrorReply('WRONGTYPE Operation against a key');
  answer(([, , count]) => (count === '1' ? 'alone' : ['fine', wrong]));
  const [first, second, third] = await Promise.allSettled(
    ['a', 'b', 'c'].map((key) => port.call(ONE, key, [], '1')),
  );
  expect([first, second]).toMatchObject([{ value: 'alone' }, { value: 'fine' }]);
  expect(third).toMatchObject({ reason: wrong });
});

test.for(['NOPERM No permissions to access a key', 'TRYAGAIN Multiple keys request'])(
  'each call of a batch that was refused is sent by itself: %s',
  async (message) => {
    const { port, sent, answer } = openPort();
    const refusal = new ErrorReply(message);
    answer(([, , count, key, value]) => {
      if (count !== '1' || key === 'b') throw refusal;
      return value;
    });
    const calls = ['a', 'b', 'c'].map((key, i) => port.call(ONE, key, [], String(i)));
    expect(await Promise.allSettled(calls)).toMatchObject([
      { value: '0' },
      { reason: refusal },
      { value: '2' },
    ]);
    expect(sent()).toEqual([['a'], ['b', 'c'], ['b'], ['c']]);
  },
);

test('where keys turn out to have slots nothing goes together any more', async () => {
  const { port, sent, answer } = openPort();
  answer(([, , count, , value]) => {
    if (count !== '1')
      throw new ErrorReply("CROSSSLOT Keys in request don't hash to the same slot");
    return value;
  });
  const call = (key: string): Promise<unknown> => port.call(ONE, key, [], key);
  expect(await Promise.all(['a', 'b', 'c'].map(call))).toEqual(['a', 'b', 'c']);
  expect(await Promise.all(['d', 'e', 'f'].map(call))).toEqual(['d', 'e', 'f']);
  expect(sent()).toEqual([['a'], ['b', 'c'], ['b'], ['c'], ['d'], ['e'], ['f']]);
});

test('nor where they are known to have some', async () => {
  const { port, sent } = openPort({ mayBatch: false });
  await Promise.all(['a', 'b', 'c'].map((key) => port.call(ONE, key, [], '1')));
  expect(sent()).toEqual([['a'], ['b'], ['c']]);
});

test('any other error is that of all calls, and none is repeated', async () => {
  const { port, sent, answer } = openPort();
  const lost = new Error('Socket closed unexpectedly');
  answer(() => {
    throw lost;
  });
  const calls = ['a', 'b', 'c'].map((key) => port.call(ONE, key, [], '1'));
  for (const outcome of await Promise.allSettled(calls))
    expect(outcome).toMatchObject({ reason: lost });
  expect(sent()).toEqual([['a'], ['b', 'c']]);
});

test('nor is what was refused sent again then', async () => {
  const { port, sent, answer, cut } = openPort();
  answer(([, , count, , value]) => {
    if (count === '1') return value;
    cut();
    throw new ErrorReply('TRYAGAIN Multiple keys request');
  });
  const calls = ['a', 'b', 'c'].map((key) => port.call(ONE, key, [], '1'));
  expect(await Promise.allSettled(calls)).toMatchObject([
    { status: 'fulfilled' },
    { reason: { code: 'REDCACHE_UNAVAILABLE' } },
    { reason: { code: 'REDCACHE_UNAVAILABLE' } },
  ]);
  expect(sent()).toEqual([['a'], ['b', 'c']]);
});

test('nothing leaves once the connection is gone', async () => {
  const { port, sent, cut } = openPort();
  const calls = ['a', 'b', 'c'].map((key) => port.call(ONE, key, [], '1'));
  cut();
  const [first, ...others] = await Promise.allSettled(calls);
  expect(first).toMatchObject({ status: 'fulfilled' });
  for (const other of others)
    expect(other).toMatchObject({ reason: { code: 'REDCACHE_UNAVAILABLE' } });
  expect(sent()).toEqual([['a']]);
});
