import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { trackedClient } from './tracked-client.ts';

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

/** A client whose methods take anything, as in JavaScript. */
// biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what is tried here.
type Any = any;

const CALLS: Record<string, (client: Any) => unknown> = {
  'get(42)': (client) => client.get(42),
  'get(undefined)': (client) => client.get(undefined),
  'get(null)': (client) => client.get(null),
  'get({})': (client) => client.get({}),
  'get()': (client) => client.get(),
  'hGet(key, 1)': (client) => client.hGet('h', 1),
  'hGetAll(undefined)': (client) => client.hGetAll(undefined),
  'set(key, 1.5)': (client) => client.set('k', 1.5),
  'set(undefined, value)': (client) => client.set(undefined, 'v'),
  'del([undefined])': (client) => client.del([undefined]),
  'del([1])': (client) => client.del([1]),
  'mGet([key, 1])': (client) => client.mGet(['a', 1]),
  'mGet([null])': (client) => client.mGet([null]),
  'mGet([])': (client) => client.mGet([]),
  'mGet(undefined)': (client) => client.mGet(undefined),
  'exists([key, undefined])': (client) => client.exists(['a', undefined]),
  "sendCommand(['DEL', undefined])": (client) => client.sendCommand(['DEL', undefined]),
  "sendCommand(['MSET', key, 1])": (client) => client.sendCommand(['MSET', 'k', 1]),
  "sendCommand(['MYCMD', null])": (client) => client.sendCommand(['MYCMD', null]),
  "sendCommand(['CLIENT', undefined])": (client) => client.sendCommand(['CLIENT', undefined]),
  "sendCommand(['SELECT', {}])": (client) => client.sendCommand(['SELECT', {}]),
  "sendCommand(['XREAD', null])": (client) => client.sendCommand(['XREAD', null]),
  'sendCommand([null])': (client) => client.sendCommand([null]),
  'sendCommand([1])': (client) => client.sendCommand([1]),
  'sendCommand([])': (client) => client.sendCommand([]),
  "multi().addCommand(['DEL', undefined])": (client) =>
    client.multi().addCommand(['DEL', undefined]).exec(),
  "multi().addCommand(['GET', 1])": (client) => client.multi().addCommand(['GET', 1]).exec(),
  'multi().addCommand([null])': (client) => client.multi().addCommand([null]).exec(),
  'multi().get(42)': (client) => client.multi().get(42).exec(),
  "multi().addCommand(['BLPOP', null]) as a pipeline": (client) =>
    client.multi().addCommand(['BLPOP', null]).execAsPipeline(),
};

type Outcome =
  | { readonly is: 'resolves'; readonly value: unknown }
  | { readonly is: 'rejects' | 'throws'; readonly error: string }
  | { readonly is: 'waits' };

/** How a call ends; `waits`: it sends nothing that would be answered before what is sent next. */
async function outcomeOf(client: Any, call: (client: Any) => unknown): Promise<Outcome> {
  const say = (error: unknown): string => `${(error as Error).name}: ${(error as Error).message}`;
  let called: unknown;
  try {
    called = call(client);
  } catch (error) {
    return { is: 'throws', error: say(error) };
  }
  const ended = Promise.resolve(called).then(
    (value): Outcome => ({ is: 'resolves', value }),
    (error): Outcome => ({ is: 'rejects', error: say(error) }),
  );
  // node-redis drops what it cannot write, and leaves its caller waiting.
  const answered = client.ping().then(
    () => client.ping(),
    () => {},
  );
  return await Promise.race([ended, answered.then((): Outcome => ({ is: 'waits' }))]);
}

describe('wrong arguments end as they do without a cache', () => {
  test.for(Object.entries(CALLS))('%s', async ([, call]) => {
    const plain = createClient({ url: redis.url, RESP: 3 });
    plain.on('error', () => {});
    await plain.connect();
    await using tracked = await trackedClient(redis.url);
    const { client } = tracked;
    const expected = await outcomeOf(plain, call);
    expect(await outcomeOf(client, call)).toEqual(expected);
    // A second time, since what was wrong may have been remembered.
    expect(await outcomeOf(client, call)).toEqual(await outcomeOf(plain, call));
    plain.destroy();
  });
});
