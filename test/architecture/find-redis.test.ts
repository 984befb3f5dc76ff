import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findRedis, findServer } from '#redis';

let folder: string;
/** What was said on standard error. */
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'redcache-find-'));
  said = [];
  vi.spyOn(console, 'error').mockImplementation((line) => said.push(line));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** A program in `folder/where` that prints `output` and nothing else. */
function program(where: string, name: string, output: string): string {
  mkdirSync(join(folder, where), { recursive: true });
  const file = join(folder, where, name);
  writeFileSync(file, `#!/bin/sh\necho '${output}'\n`);
  chmodSync(file, 0o755);
  return file;
}

/** An environment with these folders on the PATH, and a Docker engine nowhere. */
const env = (...path: string[]): NodeJS.ProcessEnv => ({
  PATH: path.map((each) => join(folder, each)).join(':'),
  DOCKER_HOST: `unix://${join(folder, 'docker.sock')}`,
});

const REDIS_7 = 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0';
const REDIS_6 = 'Redis server v=6.2.14 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64 build=0';
const VALKEY_8 = 'Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0';

describe('on the PATH', () => {
  test('takes the redis-server, and says its version and place', async () => {
    const server = program('bin', 'redis-server', REDIS_7);
    expect(await findServer(env('bin'))).toEqual({ server });
    expect(said).toEqual([`redcache: using redis-server 7.0.15 at ${server} (PATH)`]);
  });

  test('takes a valkey-server where there is no redis-server', async () => {
    const server = program('bin', 'valkey-server', VALKEY_8);
    expect(await findServer(env('bin'))).toEqual({ server });
  });

  test('rejects one older than 7.0 with a line, and goes on along the PATH', async () => {
    const old = program('old', 'redis-server', REDIS_6);
    const server = program('new', 'redis-server', REDIS_7);
    expect(await findServer(env('old', 'new'))).toEqual({ server });
    expect(said[0]).toBe(`redcache: ${old} is 6.2.14, and 7.0 or newer is needed; looking further`);
  });

  test('rejects an old redis-server and takes a newer valkey-server', async () => {
    program('bin', 'redis-server', REDIS_6);
    const server = program('bin', 'valkey-server', VALKEY_8);
    expect(await findServer(env('bin'))).toEqual({ server });
  });

  test('rejects a program that does not say its version', async () => {
    program('odd', 'redis-server', 'hello');
    const server = program('bin', 'redis-server', REDIS_7);
    expect(await findServer(env('odd', 'bin'))).toEqual({ server });
    expect(said[0]).toContain('does not say its version; looking further');
  });

  test('passes by a folder of that name', async () => {
    mkdirSync(join(folder, 'odd/redis-server'), { recursive: true });
    const server = program('bin', 'redis-server', REDIS_7);
    expect(await findServer(env('odd', 'bin'))).toEqual({ server });
  });
});

describe('Docker', () => {
  async function withEngine(answer: RequestListener, run: () => Promise<void>): Promise<void> {
    const engine = createServer(answer).listen(join(folder, 'docker.sock'));
    try {
      await run();
    } finally {
      engine.closeAllConnections();
      engine.close();
    }
  }

  test('is taken when its engine answers and the PATH has none', async () => {
    await withEngine(
      (_, response) => response.end('OK'),
      async () => {
        expect(await findServer(env())).toEqual({ docker: true, image: 'redis:8' });
      },
    );
    expect(said).toEqual(['redcache: using redis:8 in Docker']);
  });

  test('comes after the PATH', async () => {
    const server = program('bin', 'redis-server', REDIS_7);
    await withEngine(
      (_, response) => response.end('OK'),
      async () => expect(await findServer(env('bin'))).toEqual({ server }),
    );
  });

  test('is not taken when it does not answer', async () => {
    await withEngine(
      () => {},
      async () => expect(findServer(env())).rejects.toThrow('No Redis server found'),
    );
  });

  test('is not taken when it refuses', async () => {
    await withEngine(
      (_, response) => response.writeHead(403).end(),
      async () => expect(findServer(env())).rejects.toThrow('No Redis server found'),
    );
  });
});

describe('settings', () => {
  test('REDIS_URL comes before the PATH for the demo, said without its password', async () => {
    program('bin', 'redis-server', REDIS_7);
    const url = 'redis://user:secret@127.0.0.1:7777/3';
    expect(await findRedis({ ...env('bin'), REDIS_URL: url })).toEqual({ url });
    expect(said).toEqual(['redcache: using the server at 127.0.0.1:7777 (REDIS_URL)']);
  });

  test('REDIS_URL is nothing to a test, which kills and flushes', async () => {
    const server = program('bin', 'redis-server', REDIS_7);
    const settings = { ...env('bin'), REDIS_URL: 'redis://127.0.0.1:7777' };
    expect(await findServer(settings)).toEqual({ server });
  });

  test.for(['127.0.0.1:6379', 'http://127.0.0.1', 'nonsense'])(
    'REDIS_URL=%s is refused',
    async (url) => {
      await expect(findRedis({ ...env(), REDIS_URL: url })).rejects.toThrow('REDIS_URL');
    },
  );

  test('REDCACHE_REDIS_SERVER comes before all', async () => {
    program('bin', 'redis-server', REDIS_7);
    const server = program('mine', 'my-server', VALKEY_8);
    const settings = { ...env('bin'), REDIS_URL: 'redis://127.0.0.1:7777' };
    expect(await findRedis({ ...settings, REDCACHE_REDIS_SERVER: server })).toEqual({ server });
  });

  test('REDCACHE_REDIS_SERVER too old is an error, not a wish to look further', async () => {
    program('bin', 'redis-server', REDIS_7);
    const server = program('old', 'redis-server', REDIS_6);
    const settings = { ...env('bin'), REDCACHE_REDIS_SERVER: server };
    await expect(findServer(settings)).rejects.toThrow('6.2.14');
  });
});

test('what was found is handed on: neither searched nor said again', async () => {
  const server = program('bin', 'redis-server', REDIS_7);
  const settings = env('bin');
  await findServer(settings);
  rmSync(server);
  expect(await findServer({ ...settings })).toEqual({ server });
  expect(said).toHaveLength(1);
});

test('without any, the error says what to do', async () => {
  const failure = await findServer(env()).catch((error: Error) => error.message);
  for (const remedy of ['install redis-server', 'REDCACHE_REDIS_SERVER', 'Docker', 'REDIS_URL'])
    expect(failure).toContain(remedy);
});
