import { expect, test } from 'vitest';
import {
  dependsOnKeysAlone,
  KEYED_READS,
  NEVER_CACHED,
} from '../../../../src/adapters/node-redis/commands/cacheable.ts';

const spelled = (args: readonly string[]) => [
  args,
  [args[0]?.toLowerCase() ?? '', ...args.slice(1)],
  [`${args[0]?.[0]}${args[0]?.slice(1).toLowerCase()}`, ...args.slice(1)],
  args.map((each) => Buffer.from(each)),
];

const named = (commands: readonly string[]) =>
  commands.map((name) => ({ name, args: name.split(' ') }));

test.for(
  named([
    'GET k',
    'MGET by get',
    'HGET k BY',
    'HGETALL TOUCH',
    'ZRANGE k 0 -1 BYSCORE',
    'SORT_RO k',
    'SORT_RO k LIMIT 0 10 ALPHA DESC',
    'SORT_RO BY ALPHA',
    'JSON.GET k',
    'EXISTS k',
    'EXPIRETIME k',
    'FT.SUGGET k pre',
    'MYMODULE.READ k',
    'CONSTRUCTOR k',
  ]),
)('$name depends on its keys alone, however its name is spelled', ({ args }) => {
  expect(spelled(args).map(dependsOnKeysAlone)).toEqual([true, true, true, true]);
});

test.for(
  named([
    'TOUCH k',
    'TTL k',
    'HPTTL k FIELDS 1 f',
    'MEMORY USAGE k',
    'OBJECT ENCODING k',
    'XINFO GROUPS k',
    'XINFO STREAM k FULL',
    'XREAD STREAMS k 0',
    'VRANDMEMBER k',
    'SSCAN k 0',
    'EVALSHA_RO sha 1 k',
    'GETEX k',
    'SORT_RO k BY weight_*',
    'SORT_RO k by weight_*',
    'SORT_RO k GET object_*',
    'SORT_RO k BY nosort ALPHA',
    'SORT_RO k LIMIT 0 1 get #',
    'FT.SEARCH k *',
    'TS.GET k LATEST',
    'CF.COMPACT k',
  ]),
)('$name does not, however its name is spelled', ({ args }) => {
  expect(spelled(args).map(dependsOnKeysAlone)).toEqual([false, false, false, false]);
});

test('no command is in both tables', () => {
  expect(KEYED_READS.filter((name) => NEVER_CACHED.has(name))).toEqual([]);
});
