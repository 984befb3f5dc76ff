// A schema that never settles: whoever waits for it is bounded by `timeout.hard` and by his own signal,
// and nobody else waits for it.
import type { Schema } from '@redcache/cache-aside';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');
const LATE = { code: 'REDCACHE_LOAD_TIMEOUT' };
/** Nothing here waits for as long as that. */
const LONG = '1h';

/** Never says anything of what is called `hung`, and accepts the rest in a later turn. */
function hangingSchema(): { readonly schema: Schema<string>; readonly asked: () => number } {
  let asked = 0;
  return {
    asked: () => asked,
    schema: {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          if (value !== 'hung') return Promise.resolve({ value: value as string });
          asked += 1;
          return new Promise(() => {});
        },
      },
    },
  };
}

async function open(hard: '300ms' | typeof LONG) {
  const local = await openCache(url, { timeout: { redis: '10s', hard }, lease: LONG });
  const { schema, asked } = hangingSchema();
  const name = newKey().replaceAll(':', '-');
  const load = (id: string): string => id.replace(/\d+$/, '');
  const family = local.cache.define({ name, key: (id: string) => id, load, schema });
  /** As another process without a schema would write it. */
  const hang = (id: string): Promise<void> => local.cache.set(`${name}:${id}`, 'hung');
  return { ...local, family, name, asked, hang };
}

test('of a loaded value: the call ends, the key is free, and others have theirs', async () => {
  const { family, client, name } = await open('300ms');
  const many = family.getMany(['hung1', 'fine1']);
  many.catch(() => {});
  expect(await family.get('fine1')).toBe('fine');
  await expect(many).rejects.toMatchObject(LATE);
  await expect(family.get('hung2')).rejects.toMatchObject(LATE);
  // The lease, an hour long, was given back.
  await eventually(async () => (await client.exists([`${name}:hung1`, `${name}:hung2`])) === 0);
});

test('of a value in Redis: the call ends, and others of the same call are answered at once', async () => {
  const quick = await open('300ms');
  await quick.hang('a');
  await expect(quick.family.get('a')).rejects.toMatchObject(LATE);

  const { family, hang, asked } = await open(LONG);
  await hang('a');
  await family.set('b', 'fine');
  const own = new AbortController();
  const many = family.getMany(['a', 'b'], { signal: own.signal });
  await eventually(() => asked() === 1);
  // Though the other, of the same reading, hangs on for an hour.
  expect(await family.get('b')).toBe('fine');
  own.abort('left');
  await expect(many).rejects.toBe('left');
});

test('a caller who leaves is told at once, whether it loads or reads', async () => {
  const { family, hang, asked, client, name } = await open(LONG);
  await hang('read');
  for (const id of ['read', 'hung']) {
    const own = new AbortController();
    const before = asked();
    const call = family.get(id, { signal: own.signal });
    await eventually(() => asked() > before);
    own.abort('left');
    await expect(call).rejects.toBe('left');
  }
  await eventually(async () => (await client.exists(`${name}:hung`)) === 0);
});

test('of a value that is set or written: the call ends, and later writes of the key are not held up', async () => {
  const { family, cache, name, client } = await open('300ms');
  const set = family.set('a', 'hung');
  const deleted = family.delete('a');
  await expect(set).rejects.toMatchObject(LATE);
  await deleted;
  await expect(
    family.setMany([
      ['a', 'hung'],
      ['b', 'fine'],
    ]),
  ).rejects.toMatchObject({ code: 'REDCACHE_BATCH', failed: [`${name}:a`] });
  expect(await family.get('b')).toBe('fine');
  await cache.set(`${name}:a`, 'old');
  // The writer has changed the source, so what was there before goes.
  await expect(family.write('a', () => 'hung')).rejects.toMatchObject(LATE);
  expect(await client.exists(`${name}:a`)).toBe(0);
  expect(await family.write('a', () => 'fine')).toBe('fine');
});

test('close() waits for none of them', async () => {
  const { family, hang, asked, cache, client, name } = await open(LONG);
  await hang('read');
  await cache.set(`${name}:written`, 'old');
  const calls = [
    family.get('read'),
    family.get('hung'),
    family.getMany(['read', 'hung1']),
    family.set('set', 'hung'),
    family.write('written', () => 'hung'),
  ];
  const settled = Promise.allSettled(calls);
  await eventually(() => asked() === calls.length);
  await cache.close();
  for (const outcome of await settled)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'REDCACHE_CLOSED' } });
  expect(await client.exists([`${name}:hung`, `${name}:hung1`, `${name}:written`])).toBe(0);
});
