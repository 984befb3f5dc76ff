import type { CommandPort } from '@redcache/core';
import { settled } from '@redcache/core/testing';
import { expect, test } from 'vitest';
import { Natives } from '../src/natives.ts';

/** A server that knows these commands. */
function serverWith(...known: readonly string[]) {
  const asked: string[][] = [];
  const port: CommandPort = {
    send: async (args) => {
      const words = args.map(String);
      asked.push(words);
      return words.slice(2).map((name) => (known.includes(name) ? [name.toLowerCase(), 3] : null));
    },
    onConnection: () => () => {},
  };
  return { asked, natives: new Natives(port) };
}

test.for([
  ['DELIFEQ', ['DELIFEQ', 'k', 'v']],
  ['DELEX', ['DELEX', 'k', 'IFEQ', 'v']],
] as const)('a server that has %s is given it once it has said so', async ([name, command]) => {
  const { natives, asked } = serverWith(name);
  expect(natives.deletion('k', 'v')).toBe(undefined);
  await settled();
  expect(natives.deletion('k', 'v')).toEqual(command);
  expect(asked).toEqual([['COMMAND', 'INFO', 'DELIFEQ', 'DELEX']]);
});

test('a server that has neither is asked once', async () => {
  const { natives, asked } = serverWith();
  for (let i = 0; i < 3; i += 1) {
    expect(natives.deletion('k', 'v')).toBe(undefined);
    await settled();
  }
  expect(asked).toHaveLength(1);
});

test('another connection may lead to another server, so it is asked anew', async () => {
  const { natives, asked } = serverWith('DELIFEQ');
  natives.deletion('k', 'v');
  await settled();
  natives.forget();
  expect(natives.deletion('k', 'v')).toBe(undefined);
  await settled();
  expect(asked).toHaveLength(2);
});

test.for([
  ["ERR unknown command 'DELIFEQ'", true],
  ["NOPERM User x has no permissions to run the 'delifeq' command", true],
  ['LOADING Redis is loading the dataset in memory', false],
  ['Socket closed unexpectedly', false],
] as const)('%s: is refused for good: %s', async ([message, isRefusal]) => {
  const { natives } = serverWith('DELIFEQ');
  natives.deletion('k', 'v');
  await settled();
  expect(natives.isRefusal(new Error(message))).toBe(isRefusal);
  expect(natives.deletion('k', 'v') === undefined).toBe(isRefusal);
});

test('where the question is refused scripts will do', async () => {
  const natives = new Natives({
    send: () => Promise.reject(new Error('NOPERM no permissions')),
    onConnection: () => () => {},
  });
  expect(natives.deletion('k', 'v')).toBe(undefined);
  await settled();
  expect(natives.deletion('k', 'v')).toBe(undefined);
});
