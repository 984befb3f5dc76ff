import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { expect, inject, test } from 'vitest';
import { compiledChild } from '../../support/compiled.ts';
import { startStandalone } from '../../support/deployments.ts';

const { by } = inject('redis');

/** Runs to its end; the answer is what it said and how it ended. */
async function run(url: string, how: string): Promise<{ said: unknown; exitCode: unknown }> {
  const child: ChildProcess = fork(compiledChild('cache-closer.ts'), [url, how], {
    // Not as the test runner runs.
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  try {
    let said: unknown;
    child.on('message', (message) => {
      said = message;
    });
    const [exitCode] = await once(child, 'exit', { signal: AbortSignal.timeout(20_000) });
    return { said, exitCode };
  } finally {
    child.kill('SIGKILL');
  }
}

test('a process that has closed everything exits by itself', async () => {
  await using server = await startStandalone();
  expect(await run(server.url, 'idle')).toEqual({ said: ['value 1'], exitCode: 0 });
});

test.runIf(by === 'binary')(
  'a process that closes amid loads, waits and looks exits by itself; all of them are told',
  async () => {
    await using server = await startStandalone();
    const { said, exitCode } = await run(server.url, 'in-use');
    expect(said).toEqual(Array.from({ length: 5 }, () => 'REDCACHE_CLOSED'));
    expect(exitCode).toBe(0);
    // The leases of its loads, an hour long, are given back; that of somebody else is not.
    expect(await server.node.ask('EXISTS', 'loaded', 'looked', 'x')).toBe(0);
    expect(await server.node.ask('EXISTS', 'waited')).toBe(1);
  },
);

test.runIf(by === 'binary')(
  'a process that closes amid refreshes, writers, warming and loads nobody waits for exits by itself',
  async () => {
    await using server = await startStandalone();
    const { said, exitCode } = await run(server.url, 'behind');
    const closed = 'REDCACHE_CLOSED';
    expect(said).toEqual([
      ...Array.from({ length: 40 }, () => 'value old'),
      ...['left', closed, closed, closed, closed],
      ...['value old', closed],
    ]);
    expect(exitCode).toBe(0);
    // No lease, lock or placeholder is left: only values, epochs, and what counts fencing tokens.
    const left = (await server.node.ask('KEYS', '*')) as string[];
    expect(
      left.filter(
        (key) =>
          !/^(aged \d+$|redcache:(epoch|cleared)$|redcache:probe:|{written}:fence:)/.test(key),
      ),
    ).toEqual([]);
  },
);
