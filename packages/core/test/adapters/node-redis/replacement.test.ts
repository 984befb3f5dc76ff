import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { ConnectionClient } from '../../../src/adapters/node-redis/clients.ts';
import { Replacement } from '../../../src/adapters/node-redis/replacement.ts';
import { ManualClock, settled } from '../../../src/testing/index.ts';

/** A client of node-redis as far as it can be ended and connected; its connects wait for the test. */
class ConnectingClient extends EventEmitter {
  isOpen = true;
  isReady = true;
  readonly calls: string[] = [];
  readonly #connecting: { resolve(): void; reject(error: unknown): void }[] = [];

  async connect(): Promise<void> {
    this.calls.push('connect');
    if (this.isOpen) throw new Error('Socket already opened');
    this.isOpen = true;
    return new Promise((resolve, reject) => this.#connecting.push({ resolve, reject }));
  }
  destroy(): void {
    this.calls.push('destroy');
    if (!this.isOpen) throw new Error('The client is closed');
    this.isOpen = false;
    this.isReady = false;
  }
  async close(): Promise<string> {
    this.calls.push('close');
    this.isOpen = false;
    return 'closed';
  }

  /** The first connect that is under way stands. */
  stands(): Promise<void> {
    this.isReady = true;
    this.#connecting.shift()?.resolve();
    return settled();
  }
  /** It failed, and node-redis's own strategy gave up. */
  fails(): Promise<void> {
    this.isOpen = false;
    this.emit('error', new Error('ECONNREFUSED'));
    return this.#reject();
  }
  /** It failed, and what was to hear of the error threw. */
  breaks(): Promise<void> {
    return this.#reject();
  }
  /** It failed, and node-redis's own strategy waits. */
  waits(): void {
    this.emit('error', new Error('ECONNREFUSED'));
  }
  #reject(): Promise<void> {
    this.#connecting.shift()?.reject(new Error('ECONNREFUSED'));
    return settled();
  }
}

function replacing() {
  const clock = new ManualClock();
  const client = new ConnectingClient();
  client.on('error', () => {});
  const ended: number[] = [];
  const replacement = new Replacement(client as unknown as ConnectionClient, clock, () =>
    ended.push(clock.nowMs()),
  );
  return {
    clock,
    client,
    ended,
    replacement,
    /** Its methods are those of its class. */
    get isRestored(): boolean {
      return (
        !['destroy', 'close', 'connect'].some((name) => Object.hasOwn(client, name)) &&
        client.eventNames().length === 1
      );
    },
  };
}

afterEach(() => vi.restoreAllMocks());

describe('a connection is replaced', () => {
  test('by another in the same tick', () => {
    const it = replacing();
    it.replacement.begin();
    expect(it.client.calls).toEqual(['destroy', 'connect']);
    expect([it.client.isOpen, it.replacement.isUnderWay]).toEqual([true, true]);
  });

  test('and when it stands nothing is left behind', async () => {
    const it = replacing();
    it.replacement.begin();
    await it.client.stands();
    expect([it.replacement.isUnderWay, it.isRestored, it.clock.timers]).toEqual([false, true, 0]);
    expect(it.ended).toEqual([]);
  });

  test('once, however often it is asked for', async () => {
    const it = replacing();
    it.replacement.begin();
    it.replacement.begin();
    await it.client.fails();
    it.replacement.begin();
    expect(it.client.calls).toEqual(['destroy', 'connect']);
  });

  test('again, when the new one is to be replaced', async () => {
    const it = replacing();
    it.replacement.begin();
    await it.client.stands();
    it.replacement.begin();
    await it.client.stands();
    expect(it.client.calls).toEqual(['destroy', 'connect', 'destroy', 'connect']);
    expect(it.isRestored).toBe(true);
  });

  test.for(['closed', 'connecting by itself'])('not while the client is %s', (how) => {
    const it = replacing();
    it.client.isReady = false;
    it.client.isOpen = how !== 'closed';
    it.replacement.begin();
    expect([it.client.calls, it.replacement.isUnderWay, it.clock.timers]).toEqual([[], false, 0]);
  });
});

describe('where connecting fails', () => {
  test('it is tried again after 50, 100, 200 … ms, at most two seconds apart', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const it = replacing();
    it.replacement.begin();
    const delaysMs: number[] = [];
    for (let i = 0; i < 9; i += 1) {
      await it.client.fails();
      const delayMs = (it.clock.nextTimerAtMs ?? 0) - it.clock.nowMs();
      const before = it.client.calls.length;
      it.clock.advance(delayMs - 1);
      expect(it.client.calls).toHaveLength(before);
      it.clock.advance(1);
      expect(it.client.calls.at(-1)).toBe('connect');
      expect(it.client.calls).toHaveLength(before + 1);
      delaysMs.push(delayMs);
    }
    expect(delaysMs).toEqual([50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
    await it.client.stands();
    expect([it.replacement.isUnderWay, it.isRestored, it.clock.timers]).toEqual([false, true, 0]);
  });

  test('by chance up to half of that sooner, since all processes lose a server at once', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const it = replacing();
    it.replacement.begin();
    await it.client.fails();
    expect((it.clock.nextTimerAtMs ?? 0) - it.clock.nowMs()).toBe(25);
  });

  test('the next replacement begins with the shortest wait', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const it = replacing();
    it.replacement.begin();
    for (let i = 0; i < 4; i += 1) {
      await it.client.fails();
      it.clock.advance(2_000);
    }
    await it.client.stands();
    it.replacement.begin();
    await it.client.fails();
    expect((it.clock.nextTimerAtMs ?? 0) - it.clock.nowMs()).toBe(50);
  });
});

describe('where connecting does not come to an end', () => {
  test('it is given up five seconds after the socket stood, and tried again', async () => {
    const it = replacing();
    it.replacement.begin();
    it.clock.advance(3_000);
    it.client.emit('connect');
    it.clock.advance(4_999);
    expect(it.client.calls).toEqual(['destroy', 'connect']);
    it.clock.advance(1);
    expect(it.client.calls).toEqual(['destroy', 'connect', 'destroy']);
    expect([it.replacement.isUnderWay, it.ended]).toEqual([true, []]);
    it.clock.advance(50);
    expect(it.client.calls.at(-1)).toBe('connect');
  });

  test('a socket that does not stand is left to its own deadline', () => {
    const it = replacing();
    it.replacement.begin();
    it.clock.advance(100_000);
    expect(it.client.calls).toEqual(['destroy', 'connect']);
  });

  test('an attempt of a client that tries again by itself is no reason to give up, the next has its own time', () => {
    const it = replacing();
    it.replacement.begin();
    it.client.emit('connect');
    it.clock.advance(4_000);
    it.client.waits();
    it.clock.advance(100_000);
    it.client.emit('connect');
    it.clock.advance(4_999);
    expect(it.client.calls).toEqual(['destroy', 'connect']);
    it.clock.advance(1);
    expect(it.client.calls).toEqual(['destroy', 'connect', 'destroy']);
  });

  test('what the attempt that was given up says later changes nothing', async () => {
    const it = replacing();
    it.replacement.begin();
    it.client.emit('connect');
    it.clock.advance(5_000);
    await it.client.fails();
    expect(it.clock.timers).toBe(1);
    it.clock.advance(50);
    expect(it.client.calls.filter((call) => call === 'connect')).toHaveLength(2);
    expect(it.replacement.isUnderWay).toBe(true);
    await it.client.stands();
    expect([it.replacement.isUnderWay, it.isRestored, it.clock.timers]).toEqual([false, true, 0]);
  });

  test('since nobody hears of its errors, which leaves it open: it is ended and tried again', async () => {
    const it = replacing();
    it.replacement.begin();
    await it.client.breaks();
    expect(it.client.calls).toEqual(['destroy', 'connect', 'destroy']);
    it.clock.advance(50);
    expect(it.client.calls.at(-1)).toBe('connect');
    await it.client.stands();
    expect([it.replacement.isUnderWay, it.isRestored, it.ended]).toEqual([false, true, []]);
  });
});

describe('somebody else', () => {
  test.for(['destroy', 'close'] as const)(
    'ends the client with %s() while it is connecting: it stays ended, and that is said',
    async (how) => {
      const it = replacing();
      it.replacement.begin();
      const answered = it.client[how]();
      if (how === 'close') expect(await answered).toBe('closed');
      expect(it.client.calls).toEqual(['destroy', 'connect', how]);
      expect([it.replacement.isUnderWay, it.isRestored, it.clock.timers]).toEqual([false, true, 0]);
      expect(it.ended).toHaveLength(1);
      await it.client.fails();
      it.clock.advance(100_000);
      expect(it.client.calls).toHaveLength(3);
    },
  );

  test('ends it while we wait: what its method throws reaches him, and it stays ended', async () => {
    const it = replacing();
    it.replacement.begin();
    await it.client.fails();
    expect(() => it.client.destroy()).toThrow('The client is closed');
    expect(it.ended).toHaveLength(1);
    it.clock.advance(100_000);
    expect(it.client.calls.filter((call) => call === 'connect')).toHaveLength(1);
    expect(it.isRestored).toBe(true);
  });

  test('connects it while we wait: that is enough', async () => {
    const it = replacing();
    it.replacement.begin();
    await it.client.fails();
    void it.client.connect();
    it.clock.advance(100_000);
    expect(it.client.calls).toEqual(['destroy', 'connect', 'connect']);
    expect([it.replacement.isUnderWay, it.isRestored, it.ended]).toEqual([false, true, []]);
  });

  test('wants to connect it while we are connecting: he is told that it is open, and we go on', async () => {
    const it = replacing();
    it.replacement.begin();
    await expect(it.client.connect()).rejects.toThrow('already opened');
    expect(it.replacement.isUnderWay).toBe(true);
    await it.client.stands();
    expect([it.replacement.isUnderWay, it.isRestored]).toEqual([false, true]);
  });

  test('connects it as soon as he hears that it has failed: that is enough', async () => {
    const it = replacing();
    it.client.once('error', () => void it.client.connect());
    it.replacement.begin();
    await it.client.fails();
    it.clock.advance(100_000);
    expect(it.client.calls).toEqual(['destroy', 'connect', 'connect']);
    expect([it.replacement.isUnderWay, it.isRestored, it.ended]).toEqual([false, true, []]);
  });

  test('has put a method of his own on the client: it is called, and is there afterwards', async () => {
    const it = replacing();
    let his = 0;
    const close = async (): Promise<string> => {
      his += 1;
      return 'his';
    };
    it.client.close = close;
    it.replacement.begin();
    expect(await it.client.close()).toBe('his');
    expect([his, it.client.close === close]).toEqual([1, true]);
  });
});
