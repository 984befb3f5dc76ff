import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StandaloneDeployment, startStandalone } from '../../support/deployments.ts';
import { RawConnection } from '../../support/raw-connection.ts';

const source = new URL('../../../packages/core/src/cluster/slot.ts', import.meta.url).href;
const { SLOTS, slotOf, tagFor }: typeof import('../../../packages/core/src/cluster/slot.ts') =
  await import(source);

let redis: StandaloneDeployment;
let connection: RawConnection;

beforeAll(async () => {
  redis = await startStandalone({ args: ['--cluster-enabled', 'yes'] });
  connection = await RawConnection.open({ port: redis.node.port });
});

afterAll(async () => {
  connection?.close();
  await redis?.stop();
});

const slotByRedis = (key: string): Promise<unknown> => connection.send('CLUSTER', 'KEYSLOT', key);

const piece = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('{', '}', '{}', '}{', '{{', '}}') },
  { weight: 2, arbitrary: fc.constantFrom('', 'a', 'é', '✓', '💥', '\0', '\r\n', ' ') },
  // Lone surrogates included: what is sent for one is what Node makes of it.
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
);
const anyKey = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));

test('says the slot that Redis says, whatever the key is made of', async () => {
  await fc.assert(
    fc.asyncProperty(anyKey, async (key) => {
      expect(slotOf(key)).toBe(await slotByRedis(key));
    }),
    { numRuns: 1_000, examples: [[''], ['{}'], ['{}{a}'], ['a{'], ['}{'], ['{a}{b}'], ['{{a}}']] },
  );
});

test('a tag leads to its slot by the word of Redis', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: SLOTS - 1 }), async (slot) => {
      expect(await slotByRedis(`redcache:probe:{${tagFor(slot)}}`)).toBe(slot);
    }),
    { numRuns: 200 },
  );
});
