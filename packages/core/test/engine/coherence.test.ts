import { describe, expect, test } from 'vitest';
import { settled } from '../../src/testing/index.ts';
import { present, setting } from './setting.ts';

describe('reading', () => {
  test('a value that was read is here for the next who asks', async () => {
    using it = await setting();
    const first = it.read('k');
    await it.answer('value');
    expect(await first).toBe('value');
    expect(await it.read('k')).toBe('value');
    expect(it.client.sent).toEqual([]);
    expect(it.cache.stats()).toMatchObject({ hits: 1, misses: 1, fills: 1, refusedFills: 0 });
  });

  test('all who ask while it is under way share one command', async () => {
    using it = await setting();
    const all = Array.from({ length: 50 }, () => it.read('k'));
    expect(it.client.sent).toHaveLength(1);
    await it.answer('value');
    expect(await Promise.all(all)).toEqual(Array(50).fill('value'));
    expect(it.cache.stats()).toMatchObject({ coalesced: 49, fills: 1 });
  });

  test('a failure reaches all who share it, and the next one asks again', async () => {
    using it = await setting();
    const all = [it.read('k'), it.read('k')];
    const error = new Error('WRONGTYPE');
    it.client.next('GET').fail(error);
    expect(await Promise.allSettled(all)).toEqual([
      { status: 'rejected', reason: error },
      { status: 'rejected', reason: error },
    ]);
    await it.cached('k', 'value');
    expect(await it.read('k')).toBe('value');
  });

  test('a fetch that throws at once fails as one that rejects', async () => {
    using it = await setting();
    const error = new Error('no');
    const reading = it.cache.read(['k'], 'k', () => {
      throw error;
    });
    await expect(reading).rejects.toBe(error);
  });

  test('a failure that nobody waits for is no unhandled rejection', async () => {
    using it = await setting();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    void it.read('k');
    it.client.next('GET').fail(new Error('nobody waits'));
    await settled();
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('what is uncacheable is handed out and not kept', async () => {
    using it = await setting();
    const reading = it.cache.read(['k'], 'k', async () => ({ value: 1, cache: 'uncacheable' }));
    expect(await reading).toBe(1);
    expect(it.cache.stats()).toMatchObject({ entries: 0, fills: 0, refusedFills: 0 });
  });

  test('the same keys with another signature are another reply', async () => {
    using it = await setting();
    const read = (signature: string): Promise<string> =>
      it.cache.read(['k'], signature, async () => ({ value: signature, cache: present() }));
    expect([await read('a'), await read('b'), await read('a')]).toEqual(['a', 'b', 'a']);
    expect(it.cache.stats()).toMatchObject({ hits: 1, misses: 2 });
  });

  test('undefined, null and false are values like any other', async () => {
    using it = await setting();
    for (const value of [undefined, null, false, 0, '']) {
      const read = () =>
        it.cache.read(['k'], `signature ${value}`, async () => ({ value, cache: present() }));
      expect([await read(), await read()]).toEqual([value, value]);
    }
    expect(it.cache.stats().hits).toBe(5);
  });
});

describe('ids', () => {
  const nasty = ['\u0001', '\u0001s', '\u0001sk', '\u0001k', '\u0001kk', 'k', 'sk', 'kk', '\u0000'];

  test('no key is mistaken for a reply, nor a reply for a key', async () => {
    using it = await setting();
    for (const key of nasty) {
      it.cache.fill(it.cache.guard([key]), key, `value of ${key}`, present());
      await it.cache.read([key], key, async () => ({ value: `reply ${key}`, cache: present() }));
    }
    for (const key of nasty) {
      expect(it.cache.lookup(key)?.value).toBe(`value of ${key}`);
      const again = it.cache.read<string>([key], key, async () => {
        throw new Error('not here');
      });
      expect(await again).toBe(`reply ${key}`);
    }
  });

  test('a push of such a key drops its value and its replies, and nothing else', async () => {
    using it = await setting();
    for (const key of nasty) {
      for (const each of nasty) it.cache.fill(it.cache.guard([each]), each, each, present());
      await it.cached(key, 'reply');
      it.client.push(key);
      expect(it.cache.lookup(key)).toBeUndefined();
      expect(it.cache.stats().entries).toBe(nasty.length - 1);
      it.cache.clear();
    }
  });

  test('a key with half a character is never kept, since its push would name another', async () => {
    using it = await setting();
    for (const key of ['\ud800', 'user:\udc00', '\udc00\ud800']) {
      expect(it.cache.fill(it.cache.guard([key]), key, 1, present())).toBe(false);
      await it.cached(key, 'value');
      expect(it.cache.stats().entries).toBe(0);
    }
    expect(it.cache.fill(it.cache.guard(['😀']), '😀', 1, present())).toBe(true);
  });
});

describe('I1: nothing older than what the process was told', () => {
  const tellings = {
    'a push of the key': (it: Setting) => it.client.push('k'),
    'a push that names it among others': (it: Setting) => it.client.push('a', 'k', 'b'),
    'a flush': (it: Setting) => it.client.flush(),
    'an own write': (it: Setting) => it.cache.fence(['k']).settle(),
    'a write of ours that was sent or answered': (it: Setting) => it.cache.wrote(['a', 'k']),
    'a FLUSHALL of ours that was sent or answered': (it: Setting) => it.cache.wrote('all'),
    'what is tracked having changed': (it: Setting) => it.session.dispatch({ is: 'changed' }),
    'the end of an own write': (it: Setting) => it.fence.settle(),
    'a lost connection': (it: Setting) => it.client.connection('down'),
    'a connection that came up anew without having gone down': (it: Setting) =>
      it.client.connection('up'),
    'a call of clear': (it: Setting) => it.cache.clear(),
  };
  type Setting = Awaited<ReturnType<typeof setting>> & { fence: { settle(): void } };
  const names = Object.keys(tellings) as (keyof typeof tellings)[];

  test.for(names)('drops what is here: %s', async (name) => {
    using it = await setting();
    const fence = it.cache.fence([]);
    await it.cached('k', 'old');
    it.cache.fill(it.cache.guard(['k']), 'k', 'old', present());
    const own = name === 'the end of an own write' ? it.cache.fence(['k']) : fence;
    tellings[name]({ ...it, fence: own });
    expect(it.cache.lookup('k')).toBeUndefined();
    expect(it.cache.stats().entries).toBe(0);
    await it.client.connect();
  });

  test.for(names)('a later call starts anew, those under way get their value: %s', async (name) => {
    using it = await setting();
    const own = name === 'the end of an own write' ? it.cache.fence(['k']) : it.cache.fence([]);
    // Replies outlive this fake connection, so that only the engine can refuse them.
    let reply: (value: string) => void = () => {};
    const before = it.cache.read(['k'], 'k', async () => ({
      value: await new Promise<string>((resolve) => {
        reply = resolve;
      }),
      cache: present(),
    }));
    tellings[name]({ ...it, fence: own });
    const after = it.cache.read(['k'], 'k', async () => ({
      value: 'new',
      cache: 'uncacheable' as const,
    }));
    reply('old');
    expect(await before).toBe('old');
    expect(await after).toBe('new');
    expect(it.cache.stats()).toMatchObject({ entries: 0, refusedFills: 1, coalesced: 0 });
    await it.client.connect();
  });

  test('an old load that ends does not end the new one that others have joined', async () => {
    using it = await setting();
    const old = it.read('k');
    it.client.push('k');
    const leader = it.read('k');
    expect(it.client.sent).toHaveLength(2);
    await it.answer('old');
    const joiner = it.read('k');
    expect(it.client.sent).toHaveLength(1);
    await it.answer('new');
    expect(await Promise.all([old, leader, joiner])).toEqual(['old', 'new', 'new']);
    expect(await it.read('k')).toBe('new');
  });

  test('a push of a key that is not read changes nothing', async () => {
    using it = await setting();
    const reading = it.read('k');
    it.client.push('other');
    await it.answer('value');
    await reading;
    expect(await it.read('k')).toBe('value');
    it.client.push('other');
    expect(await it.read('k')).toBe('value');
    expect(it.cache.stats()).toMatchObject({ hits: 2, evictions: { invalidation: 0 } });
  });

  test('a reply of several keys falls with any of them, under way or here', async () => {
    using it = await setting();
    const read = () =>
      it.cache.read(['a', 'b', 'a'], 'MGET', async () => ({
        value: await it.client.send(['GET', 'a', 'b']),
        cache: present(),
      }));
    for (const key of ['a', 'b']) {
      const overtaken = read();
      it.client.push(key);
      await it.answer('old');
      await overtaken;
      expect(it.cache.stats().entries).toBe(0);
      const kept = read();
      await it.answer('new');
      await kept;
      expect(it.cache.stats().entries).toBe(1);
      it.client.push(key);
      expect(it.cache.stats().entries).toBe(0);
    }
  });

  test('a listener that reads in its wake starts anew', async () => {
    using it = await setting();
    await it.cached('k', 'old');
    const seen: unknown[] = [];
    const stop = it.cache.onInvalidation('k', (cause) => {
      seen.push(cause, it.cache.lookup('k'));
      void it.read('k').then((value) => seen.push(value));
    });
    it.client.push('k');
    await it.answer('new');
    expect(seen).toEqual(['push', undefined, 'new']);
    expect(await it.read('k')).toBe('new');
    stop();
  });

  test('I5: a push of two keys, and the waiter of one reads the other', async () => {
    using it = await setting();
    it.cache.fill(it.cache.guard(['b']), 'b', 'old', present());
    const seen: unknown[] = [];
    const stop = it.cache.onInvalidation('a', () => seen.push(it.cache.lookup('b')));
    it.client.push('a', 'b');
    expect(seen).toEqual([undefined]);
    stop();
  });
});

describe('I2: a guard', () => {
  test('admits one fill', async () => {
    using it = await setting();
    const guard = it.cache.guard(['k']);
    expect(it.cache.fill(guard, 'k', 1, present())).toBe(true);
    expect(it.cache.fill(guard, 'k', 2, present())).toBe(false);
    expect(it.cache.lookup('k')?.value).toBe(1);
  });

  test('that was released admits none', async () => {
    using it = await setting();
    const guard = it.cache.guard(['k']);
    it.cache.release(guard);
    expect(it.cache.fill(guard, 'k', 1, present())).toBe(false);
  });

  test('tells its holder, before any waiter is told', async () => {
    using it = await setting();
    const order: string[] = [];
    const stop = it.cache.onInvalidation('k', (cause) => order.push(`waiter ${cause}`));
    const guard = it.cache.guard(['k'], (by) => order.push(`guard ${by}`));
    it.client.push('k');
    it.client.flush();
    expect(order).toEqual(['guard push', 'waiter push', 'guard severed', 'waiter flush']);
    it.cache.release(guard);
    stop();
  });

  test('of two, the one that was opened after the push is not harmed', async () => {
    using it = await setting();
    const before = it.cache.guard(['k']);
    it.client.push('k');
    const after = it.cache.guard(['k']);
    expect(it.cache.fill(after, 'k', 'new', present())).toBe(true);
    expect(it.cache.fill(before, 'k', 'old', present())).toBe(false);
    expect(it.cache.lookup('k')?.value).toBe('new');
  });
});

describe('I6: an own write', () => {
  test('keeps its keys out until it is settled, however often it is settled', async () => {
    using it = await setting();
    const fence = it.cache.fence(['k', 'l', 'k']);
    const during = it.cache.guard(['k']);
    expect(it.cache.fill(it.cache.guard(['k']), 'k', 'old', present())).toBe(false);
    expect(it.cache.fill(it.cache.guard(['l', 'm']), 'l', 'old', present())).toBe(false);
    expect(it.cache.fill(it.cache.guard(['m']), 'm', 'other', present())).toBe(true);
    fence.settle();
    expect(it.cache.fill(during, 'k', 'old', present())).toBe(false);
    const after = it.cache.guard(['k']);
    fence.settle();
    expect(it.cache.fill(after, 'k', 'new', present())).toBe(true);
    expect(it.cache.lookup('k')?.value).toBe('new');
  });

  test('that begins while another is under way keeps its keys out until both are settled', async () => {
    using it = await setting();
    const [first, second] = [it.cache.fence(['k']), it.cache.fence(['k'])];
    first.settle();
    first.settle();
    expect(it.cache.fill(it.cache.guard(['k']), 'k', 1, present())).toBe(false);
    second.settle();
    expect(it.cache.fill(it.cache.guard(['k']), 'k', 2, present())).toBe(true);
  });

  test('that is never settled keeps its key out for good, through flush and reconnect', async () => {
    const it = await setting();
    it.cache.fence(['k']);
    it.client.flush();
    it.client.connection('down');
    await it.client.connect();
    const all = [it.read('k'), it.read('k')];
    expect(it.client.sent).toHaveLength(2);
    for (const command of [...it.client.sent]) command.reply('value');
    await Promise.all(all);
    expect(it.cache.stats().entries).toBe(0);
    await it.cached('other', 'value');
    expect(await it.read('other')).toBe('value');
  });

  test('drops a value that still expects an echo', async () => {
    using it = await setting();
    it.cache.fill(it.cache.guard(['k']), 'k', 1, { ...present(), by: 'own-write' });
    it.cache.fence(['k']).settle();
    expect(it.cache.lookup('k')).toBeUndefined();
    expect(it.cache.stats().evictions['own-write']).toBe(1);
  });
});

describe('a fill by an own write that is followed by one echo', () => {
  /** Fills after so many pushes within the window; then pushes until the entry is gone. */
  async function pushesSurvived(inWindow: number): Promise<number | 'not stored'> {
    using it = await setting();
    const guard = it.cache.guard(['k']);
    for (let i = 0; i < inWindow; i += 1) it.client.push('k');
    const stored = it.cache.fill(guard, 'k', 'mine', { ...present(), by: 'own-write' });
    expect(it.cache.lookup('k')?.value).toBe(stored ? 'mine' : undefined);
    if (!stored) return 'not stored';
    for (let survived = 0; ; survived += 1) {
      it.client.push('k');
      if (it.cache.lookup('k') === undefined) return survived;
    }
  }

  test.for([
    [0, 1],
    [1, 0],
    [2, 'not stored'],
    [3, 'not stored'],
  ] as const)(
    'with %d pushes in its window survives so many later ones: %s',
    async ([inWindow, survived]) => {
      expect(await pushesSurvived(inWindow)).toBe(survived);
    },
  );

  test.for(['flush', 'own write', 'reconnect'])(
    'is refused after a %s in its window',
    async (what) => {
      using it = await setting();
      const guard = it.cache.guard(['k']);
      if (what === 'flush') it.client.flush();
      else if (what === 'own write') it.cache.fence(['k']).settle();
      else await it.client.connect();
      expect(it.cache.fill(guard, 'k', 1, { ...present(), by: 'own-write' })).toBe(false);
    },
  );

  test('does not survive a flush while its echo is still to come', async () => {
    using it = await setting();
    it.cache.fill(it.cache.guard(['k']), 'k', 1, { ...present(), by: 'own-write' });
    it.client.flush();
    expect(it.cache.lookup('k')).toBeUndefined();
  });

  test('a value read later inherits no echo', async () => {
    using it = await setting();
    it.cache.fill(it.cache.guard(['k']), 'k', 1, { ...present(), by: 'own-write' });
    it.cache.fill(it.cache.guard(['k']), 'k', 2, present());
    it.client.push('k');
    expect(it.cache.lookup('k')).toBeUndefined();
  });

  test('waiters are woken by the echo as by any push', async () => {
    using it = await setting();
    const causes: string[] = [];
    const stop = it.cache.onInvalidation('k', (cause) => causes.push(cause));
    it.cache.fill(it.cache.guard(['k']), 'k', 1, { ...present(), by: 'own-write' });
    it.client.push('k');
    expect(causes).toEqual(['push']);
    expect(it.cache.lookup('k')?.value).toBe(1);
    stop();
  });
});

test('I2: what depends on no key is never kept, since no push would name it', async () => {
  using it = await setting();
  const guard = it.cache.guard([]);
  expect([guard.severed, it.cache.fill(guard, 'k', 'value', present())]).toEqual([true, false]);
});
