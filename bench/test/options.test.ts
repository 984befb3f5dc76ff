import { describe, expect, test } from 'vitest';
import { HELP, parseOptions } from '../src/demo/options.ts';
import { UsageError } from '../src/usage-error.ts';

test('without options it is the run that the help describes', () => {
  expect(parseOptions([])).toEqual({
    is: 'run',
    ...{ processes: 4, seconds: 20, readRate: 5000, writeRate: 20, seed: 1 },
    url: undefined,
    killRedis: false,
    stopDatabase: true,
    isCold: false,
  });
});

test('every option is read', () => {
  const options = '--processes 2 --seconds 5 --read-rate 10 --write-rate 0 --seed 9 --url';
  expect(parseOptions([...options.split(' '), 'redis://127.0.0.1:1'])).toEqual({
    is: 'run',
    ...{ processes: 2, seconds: 5, readRate: 10, writeRate: 0, seed: 9 },
    url: 'redis://127.0.0.1:1',
    killRedis: false,
    stopDatabase: true,
    isCold: false,
  });
  expect(parseOptions(['--kill-redis'])).toMatchObject({ killRedis: true });
  expect(parseOptions(['--cold'])).toMatchObject({ isCold: true });
});

test('the database is stopped where there is time for values to age, and Redis stays', () => {
  expect(parseOptions(['--seconds', '3'])).toMatchObject({ stopDatabase: true });
  expect(parseOptions(['--seconds', '2'])).toMatchObject({ stopDatabase: false });
  expect(parseOptions(['--kill-redis'])).toMatchObject({ stopDatabase: false });
});

test('the help names every option and no other', () => {
  const options = [
    'processes',
    'seconds',
    'read-rate',
    'write-rate',
    'seed',
    'url',
    'kill-redis',
    'cold',
  ];
  const named = [...HELP.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name);
  expect(named).toEqual([...options, 'help']);
  expect(parseOptions(['--help'])).toEqual({ is: 'help' });
});

describe('refuses', () => {
  test.for([
    [['--speed', '9'], '--speed'],
    [['fast'], 'fast'],
    [['--seconds'], '--seconds'],
    [['--seconds', '0'], '--seconds must be a whole number from 1 to 3600'],
    [['--seconds', '1.5'], '--seconds'],
    [['--processes', '-1'], '--processes'],
    [['--processes', '65'], '--processes'],
    [['--write-rate', 'many'], '--write-rate'],
    [['--url', 'http://127.0.0.1'], '--url'],
    [['--kill-redis=yes'], '--kill-redis'],
    [['--kill-redis', '--seconds', '3'], '--kill-redis needs --seconds 4'],
    [['--kill-redis', '--url', 'redis://127.0.0.1:1'], '--kill-redis'],
  ] as const)('%j, naming the option', ([args, words]) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(words);
  });

  test('a bad URL without repeating it, since it may hold a password', () => {
    expect(() => parseOptions(['--url', 'http://:secret@127.0.0.1'])).toThrow(/^(?!.*secret)/);
  });
});
