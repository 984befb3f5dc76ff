import { expect, test } from 'vitest';
import {
  ClosedError,
  ConfigError,
  isRedcacheError,
  OutcomeUnknownError,
  RedcacheError,
  UnavailableError,
} from '../src/errors.ts';

test.for([
  [ConfigError, 'ConfigError', 'REDCACHE_CONFIG'],
  [UnavailableError, 'UnavailableError', 'REDCACHE_UNAVAILABLE'],
  [OutcomeUnknownError, 'OutcomeUnknownError', 'REDCACHE_OUTCOME_UNKNOWN'],
  [ClosedError, 'ClosedError', 'REDCACHE_CLOSED'],
] as const)('%o has its name, code, key and cause', ([Class, name, code]) => {
  const cause = new Error('why');
  const error = new Class('what', { key: 'k', cause });
  expect(error).toMatchObject({ name, code, key: 'k', cause, message: 'what' });
  expect(error).toBeInstanceOf(RedcacheError);
  expect(error).toBeInstanceOf(Error);
  expect(isRedcacheError(error)).toBe(true);
  expect(error.stack).toContain(`${name}: what`);
});

test('an error without a cause has none, not one that is undefined', () => {
  expect('cause' in new ConfigError('what', { key: 'k' })).toBe(false);
  expect('cause' in new ConfigError('what', { cause: undefined })).toBe(true);
});

test('errors of a second copy of the package are recognised', async () => {
  const again = '../src/errors.ts?a-second-copy';
  const copy = (await import(/* @vite-ignore */ again)) as typeof import('../src/errors.ts');
  const foreign = new copy.ConfigError('from elsewhere');
  expect(foreign).not.toBeInstanceOf(ConfigError);
  expect(isRedcacheError(foreign)).toBe(true);
});

test.for([undefined, null, 'REDCACHE_CONFIG', 5, {}, new Error('x'), { code: 'REDCACHE_CONFIG' }])(
  '%o is none of ours',
  (other) => {
    expect(isRedcacheError(other)).toBe(false);
  },
);

test('the brand does not show when an error is printed or made into JSON', () => {
  expect(Object.keys(new ConfigError('what'))).not.toContain('Symbol(redcache.error)');
  expect(JSON.parse(JSON.stringify(new ConfigError('what')))).toEqual({
    name: 'ConfigError',
    code: 'REDCACHE_CONFIG',
  });
});
