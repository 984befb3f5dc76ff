import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { freshKey, hear, openLocks } from './ground.ts';

const url = inject('redis').standalone;

test('the tracked connection is in the database that the client has selected', async () => {
  for (const [inUrl, selected] of [
    ['', 3],
    ['/3', 0],
  ] as const) {
    const woken = hear('redcache:lock:woken');
    const key = freshKey('selected');
    const { locks, client } = await openLocks(`${url}${inUrl}`, { tracked: false });
    const others = await openLocks(`${url}${inUrl}`, { tracked: false });
    for (const each of [client, others.client]) await each.select(selected);
    const lock = await locks.acquire(key, { lease: '1h' });
    let granted = false;
    const waiting = others.locks.acquire(key).then((next) => {
      granted = true;
      return next;
    });
    // The waiter has asked over the tracked connection, and its answer is there.
    await eventually(() => granted || woken.length > 0);
    await others.locks.isLocked(key);
    expect(granted).toBe(false);
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe('released');
    await (await waiting).release();
  }
});
