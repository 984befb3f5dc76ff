import { describe, expect, test } from 'vitest';
import { present, setting } from './setting.ts';

const SIGNATURE = 'GET a';

async function leading() {
  const it = await setting();
  const lead = () => it.cache.lead<unknown>(['a'], SIGNATURE, it.session, 'GET');
  const join = () => it.cache.join<unknown>(SIGNATURE);
  return { ...it, lead, join, has: () => it.cache.lookup('a', 'GET')?.value };
}

describe('a read that is led', () => {
  test('gives its leader what is his own, and those who joined what is kept', async () => {
    using it = await leading();
    const led = it.lead();
    const joined = [it.join(), it.join()];
    led.arrived({ value: 'kept', own: 'own', cache: present() });
    expect(await led.promise).toBe('own');
    expect(await Promise.all(joined)).toEqual(['kept', 'kept']);
    expect(it.has()).toBe('kept');
    expect(it.join()).toBe(undefined);
    expect(it.cache.stats()).toMatchObject({ loads: 1, coalesced: 2, fills: 1 });
  });

  test('gives everyone the same if its leader has nothing of his own', async () => {
    using it = await leading();
    const led = it.lead();
    const joined = it.join();
    led.arrived({ value: 'value', cache: 'uncacheable' });
    expect([await led.promise, await joined]).toEqual(['value', 'value']);
    expect(it.has()).toBe(undefined);
  });

  test('fails for everyone, once, and is counted', async () => {
    using it = await leading();
    const led = it.lead();
    const joined = it.join();
    const error = new Error('no');
    led.failed(error);
    await expect(led.promise).rejects.toBe(error);
    await expect(joined).rejects.toBe(error);
    expect(it.join()).toBe(undefined);
    expect(it.cache.stats()).toMatchObject({ loads: 1, failedLoads: 1 });
  });

  test('I1: is joined by nobody once its key has changed, and keeps those who are in it', async () => {
    using it = await leading();
    const led = it.lead();
    const joined = it.join();
    it.client.push('a');
    expect(it.join()).toBe(undefined);
    const next = it.lead();
    led.arrived({ value: 'old', cache: present() });
    expect([await led.promise, await joined]).toEqual(['old', 'old']);
    expect(it.has()).toBe(undefined);
    next.arrived({ value: 'new', cache: present() });
    expect([await next.promise, it.has()]).toEqual(['new', 'new']);
  });

  test('I1: is joined by nobody if nobody would say that it is outdated', async () => {
    using it = await leading();
    it.client.connection('down');
    const led = it.lead();
    expect(it.join()).toBe(undefined);
    led.arrived({ value: 'value', cache: present() });
    expect([await led.promise, it.has()]).toEqual(['value', undefined]);
  });
});
