// Values that are easily taken for none, and keys that are easily taken for something else, through every
// call, over a client and in a cluster.
import { type Cache, createCache } from '@redcache/cache-aside';
import { clientSideCache } from '@redcache/core/node-redis';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { type Deployment, startCluster } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { openKind } from '../core/four-kinds.ts';

const { standalone } = inject('redis');
const VALUES = [null, '', 0, false, [], {}, [null], 'rc1 l mine\n', 'null', -0.5, '\u0000', 'ü😀'];
const KEYS = [
  ' ',
  'with spaces and\r\nline ends',
  '{',
  '}',
  '{}',
  'a{}b',
  '{a}{b}',
  'a}b{c',
  '{tag}rest',
  '*?[a]\\',
  'ключ 😀 é',
  'nul\u0000byte',
  '__proto__',
  'redcache:epoch2',
  `long:${'x'.repeat(10 * 1_024)}`,
  `{${'y'.repeat(10 * 1_024)}}`,
];

describe.each(['client', 'cluster'] as const)('over a %s', (kind) => {
  let deployment: Deployment | { readonly url: string };
  beforeAll(async () => {
    deployment = kind === 'cluster' ? await startCluster() : { url: standalone };
  });
  afterAll(async () => {
    if ('stop' in deployment) await deployment.stop();
  });

  let namespaces = 0;
  /** Two caches of a namespace of their own. */
  async function two(codec: 'json' | 'bytes' = 'json'): Promise<[Cache, Cache]> {
    namespaces += 1;
    const namespace = `odd-${process.pid}-${namespaces}`;
    const open = async (): Promise<Cache> => {
      const cache = clientSideCache() as never;
      const opened = await openKind(kind, deployment as Deployment, { cache });
      const timeout = { redis: '10s' } as const;
      const client = opened.raw as never;
      const made = createCache({ client, namespace, codec, timeout, ttl: '1h', grace: '1h' });
      onTestFinished(async () => {
        await made.close();
        await opened.close();
      });
      return made;
    };
    return [await open(), await open()];
  }

  const notAsked = (): never => {
    throw new Error('the loader was asked');
  };

  test('every odd value, by every call that stores one and every one that reads it', async () => {
    const [one, two_] = await two();
    const family = one.define({ name: 'family', key: (id: number) => String(id) });
    const theirs = two_.define({ name: 'family', key: (id: number) => String(id) });
    await Promise.all(
      VALUES.map(async (value, i) => {
        const [loaded, set, written, many] = ['l', 's', 'w', 'm'].map((how) => `${how}${i}`) as [
          string,
          string,
          string,
          string,
        ];
        expect(await one.get<unknown>(loaded, () => value)).toEqual(value);
        await one.set(set, value, { tags: ['t'] });
        expect(await one.write<unknown>(written, () => value)).toEqual(value);
        expect(await one.getMany<unknown>([many], () => ({ [many]: value }))).toEqual(
          new Map([[many, value]]),
        );
        await family.set(i, value);
        const keys = [loaded, set, written, many];
        for (const cache of [one, two_]) {
          for (const key of keys) expect(await cache.get(key, notAsked)).toEqual(value);
          expect(await cache.getMany(keys, notAsked)).toEqual(
            new Map(keys.map((key) => [key, value])),
          );
          expect(await cache.getEntry(loaded)).toMatchObject({ value });
        }
        expect(await theirs.get(i)).toEqual(value);
        expect(await theirs.getMany([i])).toEqual(new Map([[i, value]]));
        expect(await one.touch(set, '2h')).toBe(true);
        expect(await one.expire(loaded)).toBe(true);
        // Aged, and loaded anew behind.
        expect(await two_.get(loaded, () => 'new')).toEqual(value);
        await eventually(async () => (await two_.get(loaded, () => 'new')) === 'new');
      }),
    );
    await two_.invalidateTag('t');
    expect((await two_.getMany(VALUES.map((_, i) => `s${i}`))).size).toBe(0);
  });

  test('every odd key, by every call', async () => {
    const [one, two_] = await two();
    const values = new Map<string, unknown>(KEYS.map((key, i) => [key, `value ${i}`]));
    expect(
      await one.getMany(KEYS, (missing) => new Map(missing.map((key) => [key, values.get(key)]))),
    ).toEqual(values);
    expect(await two_.getMany(KEYS, notAsked)).toEqual(values);
    for (const cache of [one, two_])
      await eventually(async () => {
        await cache.getMany(KEYS);
        return KEYS.every((key) => cache.peek(key).hit);
      });
    await Promise.all(
      KEYS.map(async (key, i) => {
        expect(await one.get(key, notAsked)).toBe(`value ${i}`);
        expect(await one.write(key, () => 'written')).toBe('written');
        await eventually(async () => (await two_.get(key, notAsked)) === 'written');
        await two_.set(key, 'set', { tags: [key] });
        await eventually(async () => (await one.get(key, notAsked)) === 'set');
        expect(await one.touch(key, '2h')).toBe(true);
        expect(await one.expire(key)).toBe(true);
        // The lease stands beside the key, in its slot.
        expect(await one.get(key, () => 'renewed', { refresh: true, tags: [key] })).toBe('renewed');
        await two_.invalidateTag(key);
        await eventually(async () => (await one.get(key)) === undefined);
        expect(await one.get(key, () => undefined)).toBeUndefined();
        expect(await two_.getEntry(key, notAsked)).toMatchObject({ value: undefined });
        await two_.delete(key);
        await eventually(async () => (await one.get(key, () => 'again')) === 'again');
      }),
    );
    expect(
      await two_.writeMany(KEYS, (names) => new Map(names.map((name) => [name, name.length]))),
    ).toEqual(new Map(KEYS.map((key) => [key, key.length])));
    await two_.setMany(KEYS.map((key) => [key, 'last']));
    expect(await one.touchMany(KEYS, '1h')).toEqual(new Set(KEYS));
    await one.deleteMany(KEYS);
    expect(await two_.getMany(KEYS)).toEqual(new Map());
  });

  test('an id may be any text, with the name of its family before it', async () => {
    const [one, two_] = await two();
    const asked: string[] = [];
    const options = {
      name: 'odd {family}',
      key: (id: string) => id,
      tags: ['of the family'],
      load: (id: string) => {
        asked.push(id);
        return id.length;
      },
    };
    const [ours, theirs] = [one.define(options), two_.define({ ...options })];
    const ids = KEYS.filter((key) => key !== ' ');
    expect(await ours.getMany(ids)).toEqual(new Map(ids.map((id) => [id, id.length])));
    expect(await theirs.getMany(ids)).toEqual(new Map(ids.map((id) => [id, id.length])));
    expect(asked.toSorted()).toEqual(ids.toSorted());
    expect(await theirs.write('{', () => 5)).toBe(5);
    await eventually(async () => (await ours.get('{')) === 5);
    await two_.invalidateTag('of the family');
    await ours.deleteMany(ids);
    expect(await ours.get('}')).toBe(1);
  });

  test('5 MB, as text and as bytes', async () => {
    const text = '5 MB é '.repeat(655_360);
    const bytes = Buffer.from(text);
    for (const [codec, value] of [
      ['json', text],
      ['bytes', bytes],
    ] as const) {
      const [one, two_] = await two(codec);
      const isSame = (found: unknown): boolean =>
        Buffer.isBuffer(found) ? bytes.equals(found) : found === text;
      expect(isSame(await one.get('loaded', () => value))).toBe(true);
      expect(isSame(await one.write('written', () => value))).toBe(true);
      await one.set('set', value, { tags: ['large'] });
      const found = await two_.getMany(['loaded', 'written', 'set'], notAsked);
      expect([...found.values()].map(isSame)).toEqual([true, true, true]);
      await two_.expire('loaded');
      expect(isSame(await one.get('loaded', () => value, { refresh: true }))).toBe(true);
    }
  });
});
