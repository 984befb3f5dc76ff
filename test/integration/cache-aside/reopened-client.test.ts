import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { newKey, openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');

test.for(['close', 'destroy'] as const)(
  'a client that its owner ends by %s() and connects again keeps values here as before',
  async (end) => {
    const { cache, engine, client } = await openCache(url);
    const key = newKey();
    await cache.get(key, () => 'before');
    await client[end]();
    await client.connect();
    await client.ping();
    await eventually(
      () => engine.state,
      (state) => state === 'tracking',
    );
    expect(await cache.get(key, () => 'after')).toBe('before');
    expect(cache.peek(key)).toMatchObject({ hit: true, value: 'before' });
  },
);
