import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { type Reply, ReplyError } from '../../support/resp.ts';
import { KEYSPACE, MORE_READS, READS, REFUSED_WRITES, WRITES } from './command-samples.ts';

const commands = new URL(
  '../../../packages/core/src/adapters/node-redis/commands/',
  import.meta.url,
);
const from = (file: string): string => new URL(file, commands).href;
type Commands =
  typeof import('../../../packages/core/src/adapters/node-redis/commands/cacheable.ts') &
    typeof import('../../../packages/core/src/adapters/node-redis/commands/written-keys.ts') &
    typeof import('../../../packages/core/src/adapters/node-redis/commands/blocking.ts');
const { blocks, dependsOnKeysAlone, KEYED_READS, NEVER_CACHED, writtenKeys }: Commands = {
  ...(await import(from('cacheable.ts'))),
  ...(await import(from('written-keys.ts'))),
  ...(await import(from('blocking.ts'))),
};

/** What node-redis knows of a command, subcommands named `container sub`. */
interface Known {
  readonly flags?: readonly string[];
  readonly subcommands?: Readonly<Record<string, Known>>;
}

const nodeRedis = createRequire(createRequire(import.meta.url).resolve('redis'));
const { COMMAND_METADATA, isCacheable } = nodeRedis(
  '@redis/client/dist/lib/command-metadata/index.js',
) as {
  readonly COMMAND_METADATA: Readonly<Record<string, Readonly<Record<string, Known>>>>;
  isCacheable(known: Known): boolean;
};

const knownToNodeRedis: ReadonlyMap<string, Known> = new Map(
  Object.entries(COMMAND_METADATA).flatMap(([module, known]) =>
    Object.entries(known).flatMap(([command, own]) => {
      const name = (module === 'std' ? command : `${module}.${command}`).toUpperCase();
      return [
        [name, own] as const,
        ...Object.entries(own.subcommands ?? {}).map(
          ([sub, each]) => [`${name} ${sub.toUpperCase()}`, each] as const,
        ),
      ];
    }),
  ),
);

/** What the server says of a command, subcommands named `CONTAINER SUB`. */
interface Described {
  readonly flags: readonly string[];
  readonly tips: readonly string[];
  readonly hasKeys: boolean;
}

let redis: StandaloneDeployment;
let reader: RawConnection;
let other: RawConnection;
let described: ReadonlyMap<string, Described>;

beforeAll(async () => {
  redis = await startStandalone();
  reader = await RawConnection.open({ port: redis.node.port });
  other = await RawConnection.open({ port: redis.node.port });
  await reader.send('CLIENT', 'TRACKING', 'ON');
  described = new Map(((await other.send('COMMAND')) as Reply[][]).flatMap(describe));
});

afterAll(async () => {
  reader?.close();
  other?.close();
  await redis?.stop();
});

function describe(row: Reply[]): (readonly [string, Described])[] {
  const [name, , flags, first, , , , tips, specs, subcommands] = row;
  const command: Described = {
    flags: flags as string[],
    tips: tips as string[],
    hasKeys: first !== 0 || (specs as Reply[]).length > 0,
  };
  return [
    [String(name).toUpperCase().replace('|', ' '), command] as const,
    ...((subcommands ?? []) as Reply[][]).flatMap(describe),
  ];
}

const isOnServer = ([name, sub]: readonly string[]): boolean =>
  described.has(`${name}`) &&
  (![...described.keys()].some((each) => each.startsWith(`${name} `)) ||
    described.has(`${name} ${sub}`));

/** Names of all commands that have, or whose subcommands have, this flag. */
const flagged = (flag: string): string[] =>
  [...described].flatMap(([name, { flags }]) => (flags.includes(flag) ? [name] : []));

const named = (samples: readonly (readonly string[])[]): Set<string> =>
  new Set(samples.flatMap(([name, sub]) => [`${name}`, `${name} ${sub}`]));

test('every command that is cached is a read of keys by the word of the server', () => {
  expect(described.size).toBeGreaterThan(200);
  const wrong = [...KEYED_READS, 'SORT_RO'].flatMap((name) => {
    const command = described.get(name);
    if (command === undefined) return [];
    const { flags, tips, hasKeys } = command;
    const right =
      flags.includes('readonly') &&
      !flags.includes('blocking') &&
      !flags.includes('write') &&
      hasKeys &&
      !tips.includes('nondeterministic_output') &&
      !tips.includes('dont_cache');
    return right ? [] : [{ name, ...command }];
  });
  expect(wrong).toEqual([]);
});

test('every read that node-redis or the server would cache has been judged', () => {
  const byNodeRedis = [...knownToNodeRedis].flatMap(([name, known]) =>
    isCacheable(known) ? [name] : [],
  );
  const byServer = [...described].flatMap(([name, { flags, tips, hasKeys }]) =>
    flags.includes('readonly') && hasKeys && !tips.includes('nondeterministic_output')
      ? [name]
      : [],
  );
  expect(byNodeRedis.length).toBeGreaterThan(80);
  const judged = (name: string): boolean => {
    const [word = ''] = name.split(' ');
    return word === 'SORT_RO' || KEYED_READS.includes(word) || !dependsOnKeysAlone([word]);
  };
  expect([...byNodeRedis, ...byServer].filter((name) => !judged(name))).toEqual([]);
});

test('every command in the tables exists', () => {
  const exists = (name: string): boolean => described.has(name) || knownToNodeRedis.has(name);
  const modules = new Set(Object.keys(COMMAND_METADATA).map((name) => `${name.toUpperCase()}.*`));
  const named = [...KEYED_READS, ...NEVER_CACHED.keys()].filter((name) => !modules.has(name));
  expect(named.filter((name) => !exists(name))).toEqual([]);
});

test('no command that may write is cached', () => {
  const writes = [
    ...flagged('write'),
    ...[...knownToNodeRedis].flatMap(([name, { flags }]) =>
      flags?.includes('write') ? [name] : [],
    ),
  ];
  expect(writes.length).toBeGreaterThan(100);
  expect(writes.filter((name) => KEYED_READS.includes(name.split(' ')[0] ?? ''))).toEqual([]);
});

test('every command that the server lets wait is known to', () => {
  const samples = flagged('blocking').map((name) =>
    name === 'XREAD' || name === 'XREADGROUP' ? [name, 'BLOCK', '0'] : [name],
  );
  expect(samples.length).toBeGreaterThan(9);
  expect(samples.filter((args) => !blocks(args))).toEqual([]);
  const others = [...described].flatMap(([name, { flags }]) =>
    flags.includes('blocking') || name.startsWith('WAIT') ? [] : [name],
  );
  expect(others.filter((name) => blocks(name.split(' ')))).toEqual([]);
});

test('every read of the server writes nothing, and the key of every module write is named', () => {
  const names = flagged('readonly').filter((name) => !flagged('write').includes(name));
  const args = names.map((name) => [...name.split(' '), '1', '1', 'key']);
  expect(args.filter((each) => writtenKeys(each) !== 'none')).toEqual([]);
  const moduleWrites = [...knownToNodeRedis].flatMap(([name, { flags }]) =>
    flags?.includes('write') && name.includes('.') && !name.startsWith('FT.') ? [name] : [],
  );
  expect(moduleWrites.length).toBeGreaterThan(40);
  const without = moduleWrites.filter((name) => !writtenKeys([name, 'key']).includes('key'));
  expect(without).toEqual([]);
});

test('every write of the server has a sample, and every cached read', () => {
  const writes = named([...WRITES, ...REFUSED_WRITES]);
  expect(flagged('write').filter((name) => !writes.has(name))).toEqual([]);
  const reads = named(READS);
  const cached = KEYED_READS.filter((name) => described.has(name));
  expect(cached.filter((name) => !reads.has(name))).toEqual([]);
});

const WRITING = new Set(['RW', 'OW', 'RM', 'insert', 'delete', 'update']);

/** The keys that the server says the command writes; the whole of an access may be one. */
async function writtenByServer(args: readonly string[]): Promise<string[]> {
  const keys = await other.send('COMMAND', 'GETKEYSANDFLAGS', ...args).catch((error: unknown) => {
    // It asks for one argument more than FLUSHALL has.
    if (/no key arguments|getkeysandflags' command/.test(String(error))) return [];
    throw error;
  });
  return (keys as [string, Iterable<string>][]).flatMap(([key, flags]) =>
    [...flags].some((flag) => WRITING.has(flag)) ? [key] : [],
  );
}

test('all keys that the server says are written are among those named', async () => {
  const missed = [];
  let compared = 0;
  for (const args of [...WRITES, ...REFUSED_WRITES].filter(isOnServer)) {
    const expected = await writtenByServer(args);
    const named = writtenKeys(args);
    compared += expected.length;
    if (named === 'all') continue;
    if (!expected.every((key) => named.includes(key) && named !== 'none'))
      missed.push({ args, expected, named });
  }
  expect(missed).toEqual([]);
  expect(compared).toBeGreaterThan(100);
});

test('no keys are named that the server does not see, but for the ids of XREADGROUP', async () => {
  const tooMany = [];
  for (const args of [...WRITES, ...REFUSED_WRITES].filter(isOnServer)) {
    const named = writtenKeys(args);
    if (typeof named === 'string' || named.length === 0 || args[0] === 'XREADGROUP') continue;
    const keys = await keysOf(args);
    const extra = named.filter((key) => key !== '' && !keys.includes(key));
    if (extra.length > 0) tooMany.push({ args, extra });
  }
  expect(tooMany).toEqual([]);
});

/** Sends all of them at once; an error is an answer like any other. */
const ask = (connection: RawConnection, commands: readonly (readonly string[])[]) =>
  Promise.all(
    connection.pipeline(commands).map((reply) => reply.catch((error: unknown) => error as Reply)),
  );

/** The samples' keys as they are meant to be; nothing of before is still to be pushed. */
async function resetKeyspace(): Promise<void> {
  const answers = await ask(other, [['FLUSHALL'], ...KEYSPACE.filter(isOnServer)]);
  expect(answers.filter((answer) => answer instanceof ReplyError)).toEqual([]);
  await reader.pushes();
}

const keysOf = async (args: readonly string[]): Promise<string[]> =>
  (await other.send('COMMAND', 'GETKEYS', ...args)) as string[];

test('each cached read is pushed when one of its keys changes', async () => {
  const silent = [];
  let compared = 0;
  for (const read of READS.filter(isOnServer))
    for (const key of await keysOf(read)) {
      await resetKeyspace();
      expect(await reader.send(...read), read.join(' ')).not.toBeInstanceOf(ReplyError);
      await reader.pushes();
      await ask(other, [
        ['DEL', key],
        ['SET', key, 'x'],
      ]);
      const pushes = await reader.pushes();
      if (!pushes.flat().includes(key)) silent.push({ read, key, pushes });
      compared += 1;
    }
  expect(silent).toEqual([]);
  expect(compared).toBeGreaterThan(70);
});

test('what is told of a group of consumers changes without a push', async () => {
  await resetKeyspace();
  const groups = ['XINFO', 'GROUPS', 'stream'];
  const before = await reader.send(...groups);
  await other.send('XREADGROUP', 'GROUP', 'group', 'bob', 'COUNT', '1', 'STREAMS', 'stream', '>');
  expect(await reader.pushes()).toEqual([]);
  expect(await reader.send(...groups)).not.toEqual(before);
});

test('a field that expires is pushed, whatever time its key has', async (context) => {
  if (!described.has('HPEXPIRE')) return context.skip();
  await resetKeyspace();
  await other.send('HPEXPIRE', 'hash', '1000', 'FIELDS', '1', 'f');
  expect(await reader.send('PTTL', 'hash')).toBe(-1);
  await reader.send('HGETALL', 'hash');
  const arrived = async (): Promise<unknown> => (await reader.pushes())[0];
  expect(await eventually(arrived, (push) => push !== undefined)).toEqual(['hash']);
  expect(await reader.send('HEXISTS', 'hash', 'f')).toBe(0);
});

/** They change consumer groups, which are never cached, or what is no key's. */
const CHANGE_NOTHING_CACHED = new Set([
  'FUNCTION FLUSH',
  'PFDEBUG GETREG',
  'XACK stream',
  'XAUTOCLAIM stream',
  'XCLAIM stream',
  'XGROUP CREATE',
  'XGROUP CREATECONSUMER',
  'XGROUP DELCONSUMER',
  'XGROUP DESTROY',
  'XGROUP SETID',
  'XREADGROUP GROUP',
  'XSETID stream',
]);

test('no write changes a cached answer without a push, nor any but those of its named keys', async () => {
  const reads = [...READS, ...MORE_READS].filter(isOnServer);
  const keys = await Promise.all(reads.map(keysOf));
  const silent = [];
  const unnamed = [];
  const idle = [];
  for (const write of WRITES.filter(isOnServer)) {
    await resetKeyspace();
    const before = await ask(reader, reads);
    await reader.pushes();
    const [answer] = await ask(other, [write]);
    expect(answer, write.join(' ')).not.toBeInstanceOf(ReplyError);
    const pushes = await reader.pushes();
    const pushed = pushes.includes(null) ? 'all' : pushes.flat().map(String);
    const after = await ask(other, reads);
    const changed = reads.flatMap((read, i) =>
      isDeepStrictEqual(before[i], after[i]) ? [] : [{ read, keys: keys[i] ?? [] }],
    );
    const named = writtenKeys(write);
    const among = (some: typeof named, all: readonly string[]): boolean =>
      some === 'all' || all.some((key) => some.includes(key));
    // Redis tells nobody of a SWAPDB: whoever shares its cache with the writer knows it by name.
    const told = write[0] === 'SWAPDB' ? 'all' : pushed;
    for (const { read, keys } of changed) {
      if (!among(told, keys)) silent.push({ write, read, pushed });
      if (!among(named, keys)) unnamed.push({ write, read, named });
    }
    if (pushed !== 'all' && named !== 'all')
      for (const key of pushed) if (!among(named, [key])) unnamed.push({ write, key, named });
    if (changed.length === 0) idle.push(write.slice(0, 2).join(' '));
  }
  expect({ silent, unnamed }).toEqual({ silent: [], unnamed: [] });
  expect(new Set(idle)).toEqual(CHANGE_NOTHING_CACHED);
});
