import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { eventually } from '../../support/eventually.ts';
import { pause, VersionReader, VersionWriter } from '../../support/versions.ts';
import { otherClient, trackedClient } from './tracked-client.ts';

const MAX_STALENESS_MS = 800;
/** What a busy machine may add. */
const SLACK_MS = 300;

let redis: StandaloneDeployment;
beforeAll(async () => {
  redis = await startStandalone();
});
afterAll(() => redis.stop());

type Tracked = Awaited<ReturnType<typeof trackedClient>>;

/** What node-redis keeps for itself, as it uses it when a server is taken out of service. */
interface Insides {
  _pause(): void;
  _unpause(): void;
  _getQueue(): { waitForInflightCommandsToComplete(): Promise<void> };
  _ejectSocket(): unknown;
  _insertSocket(socket: unknown): void;
}
const insidesOf = (client: object): Insides => (client as { _self: Insides })._self;

const LOSSES: Record<string, (tracked: Tracked) => Promise<unknown>> = {
  'CLIENT TRACKING OFF by the user': ({ client }) =>
    client.sendCommand(['CLIENT', 'TRACKING', 'OFF']),
  'client tracking off by the user, in small letters': ({ client }) =>
    client.sendCommand(['client', 'tracking', 'off']),
  'CLIENT TRACKING OFF in a transaction': ({ client }) =>
    client.multi().addCommand(['CLIENT', 'TRACKING', 'OFF']).exec(),
  'a socket that node-redis puts in the place of the old one': async ({ client }) => {
    const spare = client.duplicate({ clientSideCache: undefined as never });
    spare.on('error', () => {});
    await spare.connect();
    const [own, other] = [insidesOf(client), insidesOf(spare)];
    own._pause();
    await own._getQueue().waitForInflightCommandsToComplete();
    const old = own._ejectSocket();
    own._insertSocket(other._ejectSocket());
    other._insertSocket(old);
    own._unpause();
    spare.destroy();
  },
};

for (const [name, lose] of Object.entries(LOSSES))
  test(`${name}: a connection in constant use serves nothing older than maxStaleness, and then caches again`, async () => {
    await using tracked = await trackedClient(redis.url, { maxStaleness: MAX_STALENESS_MS });
    await using other = await otherClient(redis.url);
    const { client, engine } = tracked;
    const key = `lost:${name}`;
    let isOver = false;
    const used = (async () => {
      for (let i = 0; !isOver; i += 1) {
        await client.get(`${key}:${i}`);
        await pause(5);
      }
    })();
    {
      await using versions = new VersionWriter(other.client, key);
      await using reader = new VersionReader(client, key);
      await eventually(() => engine.stats().hits > 50);
      await lose(tracked);
      await pause(MAX_STALENESS_MS * 3);
      expect(versions.worstMs(reader.reads)).toBeLessThan(MAX_STALENESS_MS + SLACK_MS);
    }
    isOver = true;
    await used;
    await tracked.untilHit(key);
    await other.client.set(key, 'newest');
    await eventually(async () => (await client.get(key)) === 'newest');
    expect(engine.stats()).toMatchObject({ state: 'tracking', silences: 0 });
  });

for (const words of [
  ['CLIENT', 'TRACKING', 'OFF'],
  ['client', 'tracking', 'off'],
])
  test(`${words.join(' ')} by the user is undone at once, also where nothing bounds how old a copy may be`, async () => {
    await using tracked = await trackedClient(redis.url, { maxStaleness: false });
    await using other = await otherClient(redis.url);
    const { client } = tracked;
    const key = `undone:${words[0]}`;
    await other.client.set(key, 'old');
    await tracked.untilHit(key);
    await client.sendCommand(words);
    await other.client.set(key, 'new');
    await eventually(async () => (await client.get(key)) === 'new');
    await tracked.untilHit(key);
    await other.client.set(key, 'newer');
    await eventually(async () => (await client.get(key)) === 'newer');
  });
