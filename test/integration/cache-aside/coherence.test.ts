import { expect, inject, test } from 'vitest';
import { openCache } from './local-cache.ts';

const { standalone: url } = inject('redis');
const KEYS = 20_000;
const AT_ONCE = 500;

test('20 000 keys loaded while somebody deletes: none stale, the undisturbed ones all local', async () => {
  // No answer is too late for this: it is about what is kept.
  const timeout = { redis: '10s' } as const;
  const reader = await openCache(url, { timeout });
  const writer = await openCache(url, { timeout });
  const truth = new Map<string, number>();
  for (let i = 0; i < KEYS; i++) truth.set(`coherence:${i}`, 1);
  const keys = [...truth.keys()];
  const disturbed = new Set<string>();

  let reading = true;
  /** Even keys, all over the place. */
  const disturb = async (i: number): Promise<void> => {
    const key = keys[(i * 2 * 7_919) % KEYS] as string;
    truth.set(key, (truth.get(key) as number) + 1);
    disturbed.add(key);
    await writer.cache.delete(key);
  };
  const write = (async () => {
    for (let i = 0; reading; i += 20)
      await Promise.all(Array.from({ length: 20 }, (_, j) => disturb(i + j)));
  })();
  for (let round = 0; round < 2; round++)
    for (let from = 0; from < KEYS; from += AT_ONCE)
      await Promise.all(
        keys
          .slice(from, from + AT_ONCE)
          .map((key) => reader.cache.get(key, async (name) => truth.get(name))),
      );
  reading = false;
  await write;
  expect(disturbed.size).toBeGreaterThan(1_000);

  // What a delete pushed stands before the answer to a command that is sent after it.
  await reader.client.ping();
  const stale = keys.filter((key) => {
    const peeked = reader.cache.peek<number>(key);
    return peeked.hit && peeked.value !== truth.get(key);
  });
  expect(stale).toEqual([]);
  const undisturbed = keys.filter((key) => !disturbed.has(key));
  const local = undisturbed.filter((key) => reader.cache.peek(key).hit);
  expect(local.length).toBeGreaterThanOrEqual(undisturbed.length * 0.99);
  // Redis holds nothing outdated either.
  const there = await writer.cache.getMany<number>(keys);
  expect([...there].filter(([key, value]) => value !== truth.get(key))).toEqual([]);
});
