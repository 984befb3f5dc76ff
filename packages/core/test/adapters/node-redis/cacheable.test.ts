import { expect, test } from 'vitest';
import { dependsOnKeysAlone } from '../../../src/adapters/node-redis/cacheable.ts';

test.for(
  [
    ['GET', 'k'],
    ['get', 'k'],
    ['MGET', 'by', 'get'],
    ['HGET', 'k', 'BY'],
    ['HGETALL', 'TOUCH'],
    ['ZRANGE', 'k', '0', '-1', 'BYSCORE'],
    ['SORT_RO', 'k'],
    ['SORT_RO', 'k', 'LIMIT', '0', '10', 'ALPHA', 'DESC'],
    ['SORT_RO', 'BY', 'ALPHA'],
    ['JSON.GET', 'k'],
    ['EXISTS', 'k'],
  ].map((args) => ({ args, name: args.join(' ') })),
)('$name depends on its keys alone', ({ args }) => {
  expect(dependsOnKeysAlone(args)).toBe(true);
});

test.for(
  [
    ['TOUCH', 'k'],
    ['touch', 'k'],
    ['MEMORY', 'USAGE', 'k'],
    ['memory', 'usage', 'k'],
    ['XINFO', 'GROUPS', 'k'],
    ['XINFO', 'STREAM', 'k', 'FULL'],
    ['VRANDMEMBER', 'k'],
    ['SORT_RO', 'k', 'BY', 'weight_*'],
    ['SORT_RO', 'k', 'by', 'weight_*'],
    ['SORT_RO', 'k', 'GET', 'object_*'],
    ['SORT_RO', 'k', 'BY', 'nosort', 'ALPHA'],
    ['SORT_RO', 'k', 'LIMIT', '0', '1', 'get', '#'],
  ].map((args) => ({ args, name: args.join(' ') })),
)('$name does not', ({ args }) => {
  expect(dependsOnKeysAlone(args)).toBe(false);
  expect(dependsOnKeysAlone(args.map((each) => Buffer.from(each)))).toBe(false);
});
