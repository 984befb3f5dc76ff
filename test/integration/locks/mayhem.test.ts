// Processes that are stopped, killed and cut off, and locks that are taken from them: whoever looks
// at its lock is told the truth, and nobody waits for ever.
import { describe, expect, test } from 'vitest';
import type { handlers as locker } from '../../children/locker-register.ts';
import { type Child, type Children, startChildren } from '../../support/children.ts';
import { startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { type Client, openClient, openLocks } from './ground.ts';
import { Register, type Write } from './register.ts';

type Locker = typeof locker;

const PROCESSES = 4;
const KEYS = ['a', 'b', 'c'] as const;
const LEASE_MS = 500;
const PREFIX = 'redcache:lock:';
const LOCKS = KEYS.map((key) => `${PREFIX}${key}`);
/** What happens, and how many looks at locks come before the next. */
const MISHAPS = ['stop', 'kill', 'disconnect', 'delete', 'flush'] as const;
const ROUNDS = 25;
const LOOKS_BETWEEN = 12;

/** Processes that take every lock in turn, look at it, and write while they hold it. */
class Scene implements AsyncDisposable {
  readonly register = new Register();
  readonly failures: unknown[] = [];
  readonly #url: string;
  readonly #prefixOf: (name: string) => string;
  readonly #blind: boolean;
  readonly #processes = new Map<string, Children<Locker>>();
  readonly #working = new Set<Promise<void>>();
  readonly #removals = { begun: new Map<string, number>(), ended: new Map<string, number>() };
  #started = 0;
  #looks = 0;
  #over = false;

  constructor(url: string, { prefixOf = (_name: string): string => PREFIX, blind = false } = {}) {
    this.#url = url;
    this.#prefixOf = prefixOf;
    this.#blind = blind;
  }

  get names(): readonly string[] {
    return [...this.#processes.keys()];
  }

  process(name: string): Child<Locker> {
    return this.#processes.get(name)?.all[0] as Child<Locker>;
  }

  async start(): Promise<void> {
    this.#started += 1;
    const name = `process ${this.#started}`;
    this.#processes.set(name, await startChildren<Locker>('locker-register.ts'));
    await this.process(name).request('open', this.#url, this.#prefixOf(name), this.#blind);
    for (const key of KEYS) {
      const working = this.#work(name, key).finally(() => this.#working.delete(working));
      this.#working.add(working);
    }
  }

  async kill(name: string): Promise<void> {
    const process = this.process(name);
    this.#processes.delete(name);
    await process.kill();
  }

  /** Removes locks behind their holders' backs. */
  async remove(keys: readonly string[], run: () => Promise<unknown>): Promise<void> {
    const count = (removals: Map<string, number>): void => {
      for (const key of keys) removals.set(key, (removals.get(key) ?? 0) + 1);
    };
    count(this.#removals.begun);
    await run();
    count(this.#removals.ended);
  }

  async progress(looks: number): Promise<void> {
    const until = this.#looks + looks;
    await eventually(() => this.#looks >= until || this.failures.length > 0);
  }

  /** Lets everybody finish with the lock that he has or waits for. */
  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#working);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await Promise.all([...this.#processes.values()].map((children) => children.stop()));
  }

  async #work(by: string, key: string): Promise<void> {
    const process = this.process(by);
    try {
      while (!this.#over) {
        // A removal that is under way by now may come after the lock was given.
        const before = this.#removals.ended.get(key);
        const token = await process.request('enter', key, LEASE_MS);
        this.register.entered({ key, token, by });
        for (let i = 0; i < 3; i += 1) {
          const { atNs, isHeld } = await process.request('look', key);
          const takenAway = this.#removals.begun.get(key) !== before;
          if (isHeld) this.register.write({ key, token, by, atNs, takenAway });
          this.#looks += 1;
        }
        await process.request('leave', key);
      }
    } catch (error) {
      if (this.#processes.has(by) && !this.#over) this.failures.push(error);
    }
  }
}

/** Has the register hear every token in the order in which Redis gives them out. */
async function watch(url: string, register: Register): Promise<() => Promise<void>> {
  const [observer, client] = [await openClient(url), await openClient(url)];
  let last = '';
  await observer.monitor((line) => {
    last = String(line);
    const [, lock = '', token = ''] = /"SET" "([^"]+)" "[0-9a-f-]+:(\d+)"/.exec(last) ?? [];
    if (LOCKS.includes(lock)) register.given(lock.slice(PREFIX.length), BigInt(token));
  });
  return async () => {
    await client.echo('all is seen');
    await eventually(() => last.includes('all is seen'));
  };
}

const anyOf = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)] as T;

async function befall(scene: Scene, client: Client, what: (typeof MISHAPS)[number]): Promise<void> {
  const name = anyOf(scene.names);
  switch (what) {
    case 'stop': {
      await scene.process(name).pause();
      const before = await client.mGet(LOCKS);
      // No lock stands as it did: those of the process that stands still have ended.
      await eventually(async () => {
        const now = await client.mGet(LOCKS);
        return now.every((value, i) => value === null || value !== before[i]);
      });
      await scene.progress(LOOKS_BETWEEN);
      scene.process(name).resume();
      return;
    }
    case 'kill':
      await scene.kill(name);
      await scene.start();
      return;
    case 'disconnect': {
      const clients = String(await client.sendCommand(['CLIENT', 'LIST', 'TYPE', 'normal']));
      // Only the processes track; the observers must not be cut off.
      const ids = [...clients.matchAll(/^id=(\d+) .* flags=t /gm)].map(([, id = '']) => id);
      await client.sendCommand(['CLIENT', 'KILL', 'ID', anyOf(ids)]).catch(() => {});
      return;
    }
    case 'delete': {
      const key = anyOf(KEYS);
      await scene.remove([key], () => client.del(`${PREFIX}${key}`));
      return;
    }
    case 'flush':
      await scene.remove(KEYS, () => client.flushAll());
  }
}

test('whatever befalls holders and locks, nobody acts on a lock that has passed to another', async () => {
  await using redis = await startStandalone();
  await using scene = new Scene(redis.url);
  const { register } = scene;
  const client = await openClient(redis.url);
  const seen = await watch(redis.url, register);
  await Promise.all(Array.from({ length: PROCESSES }, () => scene.start()));
  for (let round = 0; round < ROUNDS; round += 1) {
    await scene.progress(LOOKS_BETWEEN);
    await befall(
      scene,
      client,
      round < MISHAPS.length ? (MISHAPS[round] as never) : anyOf(MISHAPS),
    );
  }
  await scene.progress(LOOKS_BETWEEN);
  await scene.end();
  await seen();
  expect(scene.failures).toEqual([]);
  expect(register.problems()).toEqual([]);
  expect(register.accepted).toBeGreaterThan(ROUNDS);
  const { locks } = await openLocks(redis.url);
  for (const key of KEYS) expect(await locks.acquire(key, { wait: '20s' })).toMatchObject({ key });
}, 120_000);

describe('what would tell that locks are broken', () => {
  const OVERLAP = /process \d held \d+ after process \d had held/;

  test('tells of processes that have a lock each for themselves', async () => {
    await using redis = await startStandalone();
    await using scene = new Scene(redis.url, { prefixOf: (name) => `${name}:` });
    await Promise.all(Array.from({ length: 2 }, () => scene.start()));
    await eventually(() => scene.register.problems().some((problem) => OVERLAP.test(problem)));
    await scene.end();
    expect(scene.failures).toEqual([]);
  });

  test('tells of holders that do not look at their signal', async () => {
    await using redis = await startStandalone();
    await using scene = new Scene(redis.url, { blind: true });
    const client = await openClient(redis.url);
    const seen = await watch(redis.url, scene.register);
    await Promise.all(Array.from({ length: PROCESSES }, () => scene.start()));
    const isSeen = (): boolean => scene.register.problems().some((each) => OVERLAP.test(each));
    for (let stops = 0; stops < 20 && !isSeen(); stops += 1) {
      await scene.progress(LOOKS_BETWEEN);
      await befall(scene, client, 'stop');
    }
    await scene.end();
    await seen();
    expect(scene.failures).toEqual([]);
    expect(isSeen()).toBe(true);
  });

  const at = (token: bigint, by: string, atNs: bigint): Write => ({
    ...{ key: 'a', token, by, atNs },
    takenAway: false,
  });
  const given = (...tokens: bigint[]): Register => {
    const register = new Register();
    for (const token of tokens) register.given('a', token);
    return register;
  };

  test('tells of tokens that do not rise, or are given out twice', () => {
    expect(given(2n, 1n).problems()).toEqual(['a: token 1 was given out after 2']);
    const twice = given(1n);
    twice.entered(at(1n, 'one', 0n));
    twice.entered(at(1n, 'two', 0n));
    expect(twice.problems()).toEqual(['a 1 was given to one and to two']);
  });

  test('refuses a write that comes late, and does not blame its holder for that', () => {
    const register = given(1n, 2n);
    register.write(at(2n, 'two', 20n));
    register.write(at(1n, 'one', 10n));
    expect(register).toMatchObject({ accepted: 1, refused: 1 });
    expect(register.problems()).toEqual([]);
  });

  test('tells of a holder that believed in its lock after another had it', () => {
    const register = given(1n, 2n);
    register.write(at(2n, 'two', 10n));
    register.write(at(1n, 'one', 20n));
    expect(register.problems()).toEqual(['a: one held 1 after two had held 2']);
    const taken = given(1n, 2n);
    taken.write(at(2n, 'two', 10n));
    taken.write({ ...at(1n, 'one', 20n), takenAway: true });
    expect(taken.problems()).toEqual([]);
  });
});
