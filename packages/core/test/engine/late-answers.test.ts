import { describe, expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { FakeClient, ManualClock, settled } from '../../src/testing/index.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present } from './setting.ts';

async function twoConnections() {
  const clock = new ManualClock();
  const cache = createTrackingCache({ clock });
  const clients = [new FakeClient(), new FakeClient()] as const;
  const [own, other] = clients.map((client) => attach(cache, client).session);
  for (const client of clients) await client.connect();
  return { clock, cache, clients, own, other };
}

describe('T3: what is answered on a connection that was lost', () => {
  test('does not make its copies servable again', async () => {
    const { clock, cache, clients, own } = await twoConnections();
    const guard = cache.guard(['k'], undefined, own);
    cache.fill(guard, 'k', 'v', { ...present(), by: 'read' });
    const lost = own?.source;
    if (lost === undefined) throw new Error('it is tracked');
    clients[0].connection('down');
    await clients[0].connect();
    own?.heard(lost, clock.nowMs());
    expect(lost.servesUntilMs).toBe(Number.NEGATIVE_INFINITY);
    expect(cache.lookup('k')).toBeUndefined();
  });

  test('is no sign of life of the one that came after it', async () => {
    const { clock, clients, own } = await twoConnections();
    clients[0].connection('down');
    clients[0].connection('up');
    const handshake = [...clients[0].sent];
    // This client does not reject what was unanswered when it comes up without having gone down.
    clients[0].connection('up');
    await settled();
    const heardAtMs = own?.heardAtMs;
    clock.advance(100);
    for (const { args, reply } of handshake) {
      reply('OK');
      if (args[0] === 'SET') clients[0].push(args[1] as string);
    }
    await settled();
    expect(own?.state).toMatchObject({ is: 'enabling' });
    expect(own?.heardAtMs).toBe(heardAtMs);
  });
});

describe('the echo of an own write', () => {
  const ownWrite = { ...present(), by: 'own-write' } as const;

  test('may have come on the connection that wrote', async () => {
    const { cache, clients, own } = await twoConnections();
    const guard = cache.guard(['k'], undefined, own);
    clients[0].push('k');
    expect(cache.fill(guard, 'k', 'v', ownWrite)).toBe(true);
  });

  test('I2: on any other connection it is a push of something else', async () => {
    const { cache, clients, own } = await twoConnections();
    const guard = cache.guard(['k'], undefined, own);
    clients[1].push('k');
    expect(cache.fill(guard, 'k', 'v', ownWrite)).toBe(false);
  });
});
