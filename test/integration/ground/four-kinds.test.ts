import { BasicPooledClientSideCache } from 'redis';
import { expect, test } from 'vitest';
import { proxyEveryNode } from '../../support/proxied.ts';
import { KINDS, openKind, startFor } from '../core/four-kinds.ts';

for (const kind of KINDS)
  test(`${kind}: opens with a cache through proxies, reads, writes, and closes every connection`, async () => {
    await using deployment = await startFor(kind);
    await using proxied = await proxyEveryNode(deployment);
    const cache = new BasicPooledClientSideCache();
    const open = await openKind(kind, deployment, { cache, through: proxied });
    const { client, writer, keyFor } = open;
    expect(client.clientSideCache).toBe(cache);
    const keys = Array.from({ length: 12 }, (_, i) => keyFor(i));
    await Promise.all(keys.map((key) => writer.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    await client.hSet(keyFor('hash'), { field: 'value' });
    expect(await client.hGetAll(keyFor('hash'))).toMatchObject({ field: 'value' });
    expect(await client.mGet(keys)).toEqual(keys);
    expect(await client.multi().set(keyFor('m'), '1').incr(keyFor('m')).exec()).toEqual(['OK', 2]);
    const hits = cache.stats().hitCount;
    expect(await client.get(keys[0] as string)).toBe(keys[0]);
    expect(cache.stats().hitCount).toBe(hits + 1);
    expect(proxied.proxies.some((proxy) => proxy.open > 0)).toBe(true);
    await open.close();
    await expect(client.get(keyFor('closed'))).rejects.toThrow();
    await expect(writer.get(keyFor('closed'))).rejects.toThrow();
  });
