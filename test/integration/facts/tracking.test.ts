// What redcache relies on from the server, one test a fact. When one fails, its reader is in the code.
import { expect, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import type { Frame } from '../../support/resp.ts';
import { newKey, PX, readerAndOther } from './reader-and-other.ts';

/** Arrivals as short texts: `reply OK`, `push a b`, `push all`. */
const told = (frames: readonly Frame[]): string[] =>
  frames.map((frame) => {
    if (frame.is === 'reply') return `reply ${frame.value}`;
    const [changed] = frame.data;
    return Array.isArray(changed) ? `push ${changed.join(' ')}` : 'push all';
  });

test('R1: a GET makes a key tracked, of a missing key too, and inside a script', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const [present, absent, scripted] = [newKey(), newKey(), newKey()];
  await other.send('SET', present, '1', ...PX);
  await reader.send('GET', present);
  await reader.send('GET', absent);
  const sha = String(await reader.send('SCRIPT', 'LOAD', "return redis.call('GET', KEYS[1])"));
  await reader.send('EVALSHA', sha, '1', scripted);
  for (const key of [present, absent, scripted]) await other.send('SET', key, '2', ...PX);
  expect(await reader.pushes()).toEqual([[present], [absent], [scripted]]);
});

test('R1: SET NX and SET GET make no key tracked', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const [written, answered] = [newKey(), newKey()];
  await other.send('SET', answered, '1', ...PX);
  await reader.send('SET', written, '1', 'NX', ...PX);
  expect(await reader.send('SET', answered, '2', 'GET', ...PX)).toBe('1');
  for (const key of [written, answered]) await other.send('SET', key, '3', ...PX);
  expect(await reader.pushes()).toEqual([]);
});

test('R2: after one invalidation a key is forgotten until it is read again', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const key = newKey();
  await reader.send('GET', key);
  await other.send('SET', key, '1', ...PX);
  await other.send('SET', key, '2', ...PX);
  expect(await reader.pushes()).toEqual([[key]]);
  await reader.send('GET', key);
  await other.send('SET', key, '3', ...PX);
  expect(await reader.pushes()).toEqual([[key]]);
});

test('R3: an own write pushes to its writer, after its reply', async () => {
  await using connections = await readerAndOther();
  const { reader } = connections;
  const key = newKey();
  await reader.send('GET', key);
  await reader.send('SET', key, '1', ...PX);
  expect(told(await reader.arrivals())).toEqual(['reply null', 'reply OK', `push ${key}`]);
});

test('R3: with NOLOOP an own write pushes nothing and makes the key untracked', async () => {
  await using connections = await readerAndOther({ tracking: ['NOLOOP'] });
  const { reader, other } = connections;
  const key = newKey();
  await reader.send('GET', key);
  await reader.send('SET', key, '1', ...PX);
  await other.send('SET', key, '2', ...PX);
  expect(await reader.pushes()).toEqual([]);
});

const SET_BETWEEN_READS = `
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'refused' end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', 60000)
  redis.call('GET', KEYS[1])
  return 'stored'`;

for (const first of ['never tracked', 'tracked already', 'expiry changed elsewhere'] as const)
  test(`R4: a script with SET between two GETs, key ${first}: reply, one own push, tracked`, async () => {
    await using connections = await readerAndOther();
    const { reader, other } = connections;
    const key = newKey();
    await other.send('SET', key, 'old', ...PX);
    if (first !== 'never tracked') await reader.send('GET', key);
    if (first === 'expiry changed elsewhere') await other.send('PEXPIRE', key, '50000');
    await reader.arrivals();

    expect(await reader.send('EVAL', SET_BETWEEN_READS, '1', key, 'old', 'new')).toBe('stored');
    expect(told(await reader.arrivals())).toEqual(['reply stored', `push ${key}`]);
    await other.send('SET', key, 'theirs', ...PX);
    expect(await reader.pushes()).toEqual([[key]]);
  });

test('R4: the same script when it refuses pushes nothing and leaves the key tracked', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const key = newKey();
  await other.send('SET', key, 'theirs', ...PX);
  expect(await reader.send('EVAL', SET_BETWEEN_READS, '1', key, 'old', 'new')).toBe('refused');
  expect(await reader.pushes()).toEqual([]);
  await other.send('SET', key, 'new', ...PX);
  expect(await reader.pushes()).toEqual([[key]]);
});

const VALUE_OR_LOCK = `
  local value = redis.call('GET', KEYS[1])
  if value then return value end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
  return redis.call('GET', KEYS[1])`;

test('R5: a script answers value or lock in one round trip and leaves the key tracked', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const key = newKey();
  expect(await reader.send('EVAL', VALUE_OR_LOCK, '1', key, 'mine')).toBe('mine');
  expect(await other.send('EVAL', VALUE_OR_LOCK, '1', key, 'theirs')).toBe('mine');
  await reader.arrivals();
  await other.send('SET', key, 'value', ...PX);
  expect(await reader.pushes()).toEqual([[key]]);
  expect(await reader.send('EVAL', VALUE_OR_LOCK, '1', key, 'mine')).toBe('value');
  await other.send('DEL', key);
  expect(await reader.pushes()).toEqual([[key]]);
});

test('R6: FLUSHALL and FLUSHDB push null, whoever sends them', async () => {
  await using server = await startStandalone();
  await using connections = await readerAndOther({ port: server.node.port });
  const { reader, other } = connections;
  await reader.send('GET', 'key');
  await other.send('FLUSHALL');
  expect(await reader.pushes()).toEqual([null]);
  await other.send('FLUSHDB');
  expect(await reader.pushes()).toEqual([null]);
  await reader.send('FLUSHALL');
  expect(await reader.pushes()).toEqual([null]);
});

test('R6: PEXPIRE and PERSIST push, though the value stays', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const key = newKey();
  await other.send('SET', key, '1', ...PX);
  for (const command of [
    ['PEXPIRE', key, '50000'],
    ['PERSIST', key],
    ['PEXPIRE', key, '60000'],
  ]) {
    expect(await reader.send('GET', key)).toBe('1');
    await other.send(...command);
    expect(await reader.pushes()).toEqual([[key]]);
  }
});

test('R6: more keys than the tracking table holds: what it drops is pushed', async () => {
  await using server = await startStandalone({ args: ['--tracking-table-max-keys', '10'] });
  await using connections = await readerAndOther({ port: server.node.port });
  const { reader } = connections;
  for (let i = 0; i < 100; i += 1) await reader.send('GET', `key:${i}`);
  // The table is trimmed by a timer of the server, some keys at a time.
  const dropped: unknown[] = [];
  await eventually(
    async () => dropped.push(...(await reader.pushes()).flat()),
    (count) => count >= 90,
    { what: '90 keys to be dropped' },
  );
  expect(new Set(dropped).size).toBe(90);
});

test('R8: GET and then PTTL in one pipeline: any write after the GET pushes', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const [volatile, lasting, absent] = [newKey(), newKey(), newKey()];
  await other.send('SET', volatile, 'v', 'PX', '60000');
  await other.send('SET', lasting, 'l');
  const read = (key: string) =>
    Promise.all(
      reader.pipeline([
        ['GET', key],
        ['PTTL', key],
      ]),
    );
  const [value, ttlMs] = await read(volatile);
  expect(value).toBe('v');
  expect(ttlMs).toBeGreaterThan(0);
  expect(ttlMs).toBeLessThanOrEqual(60_000);
  expect(await read(lasting)).toEqual(['l', -1]);
  expect(await read(absent)).toEqual([null, -2]);
  await reader.arrivals();
  for (const key of [volatile, lasting, absent]) await other.send('SET', key, 'new', ...PX);
  expect(await reader.pushes()).toEqual([[volatile], [lasting], [absent]]);
});

test('R8: a write between GET and PTTL pushes before the answer to PTTL', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const key = newKey();
  await other.send('SET', key, 'old', ...PX);
  await reader.send('GET', key);
  await other.send('SET', key, 'new', 'PX', '50000');
  await reader.send('PTTL', key);
  expect(told(await reader.arrivals()).slice(0, 2)).toEqual(['reply old', `push ${key}`]);
});

test('R10: SET with PX 0 or less is an error, also in a script; PEXPIRE 0 deletes', async () => {
  await using connections = await readerAndOther();
  const { other } = connections;
  const key = newKey();
  for (const ttlMs of ['0', '-1']) {
    await expect(other.send('SET', key, '1', 'PX', ttlMs)).rejects.toThrow(/invalid expire/);
    const script = `return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])`;
    await expect(other.send('EVAL', script, '1', key, ttlMs)).rejects.toThrow(/invalid expire/);
  }
  expect(await other.send('EXISTS', key)).toBe(0);
  await other.send('SET', key, '1', ...PX);
  expect(await other.send('PEXPIRE', key, '0')).toBe(1);
  expect(await other.send('EXISTS', key)).toBe(0);
});
