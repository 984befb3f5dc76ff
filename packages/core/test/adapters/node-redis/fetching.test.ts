import { expect, test } from 'vitest';
import type { ClientConnection } from '../../../src/adapters/node-redis/connection.ts';
import { type Call, Fetching } from '../../../src/adapters/node-redis/fetching.ts';
import { Source } from '../../../src/store/source.ts';

test('what throws while the read is announced fails the read, so that nobody waits for ever', () => {
  const error = new Error("somebody's wrapper");
  const connection = {
    session: { source: new Source(), rules: { mode: 'optin' } },
    overtakes: 0,
    send: () => {
      throw error;
    },
  };
  const failures: unknown[] = [];
  new Fetching(
    { isFrozen: false, keep: (answer) => answer, asked: () => {} },
    { parser: { redisArgs: ['GET', 'k'], keys: ['k'] } } as unknown as Call,
    connection as unknown as ClientConnection,
    {
      promise: Promise.resolve(),
      arrived: () => {},
      failed: (failure) => failures.push(failure),
    },
  );
  expect(failures).toEqual([error]);
});
