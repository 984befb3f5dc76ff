import { expect, test } from 'vitest';
import { blocks } from '../../../../src/adapters/node-redis/commands/blocking.ts';

const named = (commands: readonly string[]) =>
  commands.map((name) => ({ name, args: name.split(' ') }));

const spellings = (args: readonly string[]) => [
  args,
  args.map((each) => each.toLowerCase()),
  args.map((each) => Buffer.from(each)),
];

test.for(
  named([
    'BLPOP k 0',
    'BRPOP k 0',
    'BLMOVE a b LEFT RIGHT 0',
    'BLMOVEM a b LEFT RIGHT 0',
    'BRPOPLPUSH a b 0',
    'BLMPOP 0 1 k LEFT',
    'BZPOPMIN k 0',
    'BZPOPMAX k 0',
    'BZMPOP 0 1 k MIN',
    'WAIT 1 0',
    'WAITAOF 1 0 0',
    'XREAD BLOCK 0 STREAMS k $',
    'XREAD COUNT 1 BLOCK 0 STREAMS k $',
    'XREADGROUP GROUP g c BLOCK 0 STREAMS k >',
    'XREADGROUP GROUP STREAMS c BLOCK 0 STREAMS k >',
    'XREADGROUP GROUP g STREAMS COUNT 1 CLAIM 5 BLOCK 0 STREAMS k >',
    'XREADGROUP NOACK GROUP g c BLOCK 0 STREAMS k >',
  ]),
)('$name may wait', ({ args }) => {
  expect(spellings(args).map(blocks)).toEqual([true, true, true]);
});

test.for(
  named([
    'GET BLPOP',
    'BITCOUNT k',
    'WATCH k',
    'XADD BLOCK * f v',
    'XREAD STREAMS BLOCK 0',
    'XREAD COUNT 1 STREAMS k BLOCK',
    'XREADGROUP GROUP BLOCK BLOCK STREAMS k >',
    'LMPOP 1 k LEFT',
  ]),
)('$name does not wait', ({ args }) => {
  expect(spellings(args).map(blocks)).toEqual([false, false, false]);
});

test('nothing at all does not wait', () => {
  expect(blocks([])).toBe(false);
  expect(blocks([''])).toBe(false);
  expect(blocks([Buffer.alloc(0)])).toBe(false);
});
