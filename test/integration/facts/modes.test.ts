// What the modes of tracking do on the server, one test a fact. When one fails, its reader is in the code.
import { expect, test } from 'vitest';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { newKey, PREFIX, PX, readerAndOther, shared } from './reader-and-other.ts';

test('R7: an expired key pushes when it is removed, not when its time is over', async () => {
  await using server = await startStandalone({ args: ['--enable-debug-command', 'yes'] });
  await using connections = await readerAndOther({ port: server.node.port });
  const { reader, other } = connections;
  const key = newKey();
  await other.send('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
  const [, value] = await Promise.all(
    reader.pipeline([
      ['SET', key, 'v', 'PX', '100'],
      ['GET', key],
    ]),
  );
  expect(value).toBe('v');
  const readAtMs = await serverTimeMs(other);
  await eventually(
    () => serverTimeMs(other),
    (nowMs) => nowMs > readAtMs + 100,
    { what: 'the time of the key to be over' },
  );
  expect(await reader.pushes()).toEqual([]);
  expect(await other.send('GET', key)).toBeNull();
  expect(await reader.pushes()).toEqual([[key]]);
});

async function serverTimeMs(connection: RawConnection): Promise<number> {
  const [seconds, microseconds] = (await connection.send('TIME')) as string[];
  return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
}

test('R13: SORT_RO BY and GET read keys whose changes nobody is told of', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const list = newKey();
  const of = (what: string, id: string): string => `${list}:${what}:${id}`;
  await other.send('RPUSH', list, '1', '2');
  await other.send('PEXPIRE', list, '60000');
  for (const id of ['1', '2']) {
    await other.send('SET', of('weight', id), id, ...PX);
    await other.send('SET', of('name', id), `name ${id}`, ...PX);
  }
  const sorted = () =>
    reader.send('SORT_RO', list, 'BY', of('weight', '*'), 'GET', of('name', '*'));
  expect(await sorted()).toEqual(['name 1', 'name 2']);
  await other.send('SET', of('weight', '1'), '9', ...PX);
  await other.send('SET', of('name', '1'), 'renamed', ...PX);
  expect(await reader.pushes()).toEqual([]);
  expect(await sorted()).toEqual(['name 2', 'renamed']);
  await other.send('RPUSH', list, '3');
  expect(await reader.pushes()).toEqual([[list]]);
});

for (const [first, second] of [
  ['user:', 'user:1'],
  ['user:1', 'user:'],
  ['', 'user:'],
] as const)
  test(`R14: the prefixes '${first}' and '${second}' of one connection are refused`, async () => {
    await using reader = await RawConnection.open(shared);
    const on = (...prefixes: readonly string[]) =>
      reader.send(
        ...['CLIENT', 'TRACKING', 'ON', 'BCAST'],
        ...prefixes.flatMap((prefix) => ['PREFIX', prefix]),
      );
    await expect(on(first, second)).rejects.toThrow(/overlap/);
    await on(first);
    await expect(on(second)).rejects.toThrow(/overlap/);
  });

test('R14: prefixes that only share a beginning are taken, one after the other as well', async () => {
  await using connections = await readerAndOther({
    tracking: ['BCAST', 'PREFIX', 'mode:a', 'PREFIX', 'mode:b'],
  });
  const { reader, other } = connections;
  await reader.send('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', 'mode:c');
  for (const key of ['mode:a', 'mode:b1', 'mode:c1', 'mode:d']) {
    await other.send('SET', key, '1', ...PX);
    await other.send('PING');
  }
  const told = (await reader.pushes()).flat();
  expect(told.toSorted()).toEqual(['mode:a', 'mode:b1', 'mode:c1']);
});

for (const [mode, then] of [
  ['', 'BCAST'],
  ['BCAST', ''],
  ['OPTIN', 'BCAST'],
  ['OPTIN', 'OPTOUT'],
] as const)
  test(`a connection that tracks with '${mode}' does not change to '${then}' before it stops`, async () => {
    await using reader = await RawConnection.open(shared);
    const on = (words: string) =>
      reader.send('CLIENT', 'TRACKING', 'ON', ...words.split(' ').filter(Boolean));
    await on(mode);
    await expect(on(then)).rejects.toThrow(/before disabling tracking|switch/);
    await reader.send('CLIENT', 'TRACKING', 'OFF');
    expect(await on(then)).toBe('OK');
  });

test('OPTIN and NOLOOP are as the last CLIENT TRACKING ON has them', async () => {
  await using reader = await RawConnection.open(shared);
  for (const words of [[], ['OPTIN', 'NOLOOP'], ['NOLOOP'], []]) {
    await reader.send('CLIENT', 'TRACKING', 'ON', ...words);
    const flags = ['on', ...words.map((word) => word.toLowerCase())];
    expect(await flagsOf(reader)).toEqual(flags);
  }
});

test('OPTIN with BCAST is refused, NOLOOP with BCAST is not', async () => {
  await using reader = await RawConnection.open(shared);
  const on = (...words: readonly string[]) => reader.send('CLIENT', 'TRACKING', 'ON', ...words);
  await expect(on('BCAST', 'OPTIN')).rejects.toThrow(/OPTIN/);
  expect(await on('BCAST', 'NOLOOP')).toBe('OK');
});

async function flagsOf(connection: RawConnection): Promise<unknown> {
  const info = await connection.send('CLIENT', 'TRACKINGINFO');
  return (info as Map<string, unknown>).get('flags');
}

test('CLIENT TRACKINGINFO says that a connection does not track, or does with BCAST', async () => {
  await using reader = await RawConnection.open(shared);
  expect(await flagsOf(reader)).toEqual(['off']);
  await reader.send('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', PREFIX);
  expect(await flagsOf(reader)).toEqual(['on', 'bcast']);
});

const READS: Readonly<Record<string, (key: string) => readonly (readonly string[])[]>> = {
  PTTL: (key) => [['PTTL', key]],
  EXISTS: (key) => [['EXISTS', key]],
  'a read in MULTI': (key) => [['MULTI'], ['GET', key], ['EXEC']],
  'a read in a script': (key) => [['EVAL', "return redis.call('GET', KEYS[1])", '1', key]],
};

for (const [what, commands] of Object.entries(READS))
  test(`R15: ${what} makes a key tracked, present or not`, async () => {
    await using connections = await readerAndOther();
    const { reader, other } = connections;
    const [present, absent] = [newKey(), newKey()];
    await other.send('SET', present, '1', ...PX);
    for (const key of [present, absent]) await Promise.all(reader.pipeline(commands(key)));
    for (const key of [present, absent]) await other.send('SET', key, '2', ...PX);
    expect(await reader.pushes()).toEqual([[present], [absent]]);
  });

const NO_READS: Readonly<Record<string, (key: string) => readonly string[]>> = {
  GETEX: (key) => ['GETEX', key],
  GETDEL: (key) => ['GETDEL', key],
  'SET with GET': (key) => ['SET', key, '2', 'GET', ...PX],
  SCAN: (key) => ['SCAN', '0', 'MATCH', key, 'COUNT', '100000'],
};

for (const [what, command] of Object.entries(NO_READS))
  test(`R15: ${what} makes no key tracked`, async () => {
    await using connections = await readerAndOther();
    const { reader, other } = connections;
    const key = newKey();
    await other.send('SET', key, '1', ...PX);
    const answer = await reader.send(...command(key));
    expect(JSON.stringify(answer)).toContain(what === 'SCAN' ? key : '1');
    await other.send('SET', key, '3', ...PX);
    expect(await reader.pushes()).toEqual([]);
  });

test('N16: AUTH again keeps tracking on; one that fails changes nothing', async () => {
  await using server = await startStandalone();
  const { port } = server.node;
  await server.node.ask('ACL', 'SETUSER', 'app', 'on', '>right', '~*', '&*', '+@all');
  await using connections = await readerAndOther({ port });
  const { reader, other } = connections;
  for (const attempt of ['right', 'right', 'wrong']) {
    const key = newKey();
    await reader.send('GET', key);
    const answer = await reader.send('AUTH', 'app', attempt).catch((error: Error) => error.message);
    expect(answer).toMatch(attempt === 'right' ? /^OK$/ : /^WRONGPASS/);
    expect(await reader.send('ACL', 'WHOAMI')).toBe('app');
    await other.send('SET', key, '1', ...PX);
    expect(await reader.pushes()).toEqual([[key]]);
  }
});

test('R17: tracking ignores the database: a write of the same key in another one pushes', async () => {
  await using connections = await readerAndOther();
  const { reader, other } = connections;
  const key = newKey();
  await reader.send('GET', key);
  await other.send('SELECT', '1');
  await other.send('SET', key, '1', ...PX);
  expect(await reader.pushes()).toEqual([[key]]);
});

for (const tracking of [[], ['BCAST']] as const)
  test(`R17: FLUSHDB of another database pushes null, ${tracking[0] ?? 'default'} mode`, async () => {
    await using server = await startStandalone();
    await using connections = await readerAndOther({ port: server.node.port, tracking });
    const { reader, other } = connections;
    await reader.send('GET', newKey());
    await other.send('SELECT', '1');
    await other.send('FLUSHDB');
    expect(await reader.pushes()).toEqual([null]);
  });

test('R17: SWAPDB pushes nothing, though the key has another value now', async () => {
  await using server = await startStandalone();
  await using connections = await readerAndOther({ port: server.node.port });
  const { reader, other } = connections;
  const key = newKey();
  await other.send('SET', key, 'of database 0', ...PX);
  expect(await reader.send('GET', key)).toBe('of database 0');
  await other.send('SWAPDB', '0', '1');
  expect(await reader.pushes()).toEqual([]);
  expect(await reader.send('GET', key)).toBeNull();
});

for (const noLoop of [true, false])
  test(`R18: a foreign write just before an own one, BCAST ${noLoop ? 'with NOLOOP: its push gets lost' : 'alone: pushed'}`, async () => {
    await using server = await startStandalone();
    const { port } = server.node;
    const tracking = ['BCAST', 'PREFIX', PREFIX, ...(noLoop ? ['NOLOOP'] : [])];
    await using connections = await readerAndOther({ port, tracking });
    const { reader, other } = connections;
    let lost = 0;
    for (let round = 0; round < 20; round += 1) {
      const key = newKey();
      // A server that wakes up finds both, and tells of the writes of one turn together.
      await server.node.pause();
      const writes = [
        other.send('SET', key, 'theirs', ...PX),
        reader.send('SET', key, 'own', ...PX),
      ];
      await server.node.resume();
      await Promise.all(writes);
      if ((await reader.pushes()).length === 0) lost += 1;
    }
    if (noLoop) expect(lost).toBeGreaterThan(0);
    else expect(lost).toBe(0);
  });

test('R18: BCAST with NOLOOP pushes foreign writes and no own ones when they are apart', async () => {
  await using connections = await readerAndOther({
    tracking: ['BCAST', 'PREFIX', PREFIX, 'NOLOOP'],
  });
  const { reader, other } = connections;
  const key = newKey();
  await reader.send('SET', key, 'own', ...PX);
  expect(await reader.pushes()).toEqual([]);
  await other.send('SET', key, 'theirs', ...PX);
  expect(await reader.pushes()).toEqual([[key]]);
});
