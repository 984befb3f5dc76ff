import { describe, expect, test } from 'vitest';
import type { ClientConnection } from '../../../src/adapters/node-redis/connection.ts';
import { SendOrder } from '../../../src/adapters/node-redis/send-order.ts';
import { Source } from '../../../src/store/source.ts';
import { settled } from '../../../src/testing/index.ts';
import type { TrackingMode } from '../../../src/tracking/options.ts';

/** `Promise.withResolvers()`, which Node 20 does not have. */
function deferred() {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<unknown>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

/** The order, asked when the reply is here and at no other time. */
function judged(order: SendOrder) {
  let isTracked = false;
  return {
    answeredBy(reply: Promise<unknown>): void {
      reply.then(
        () => {
          isTracked = order.isTracked;
        },
        () => {},
      );
    },
    get isTracked(): boolean {
      return isTracked;
    },
  };
}

/** A connection as the order of its commands sees it, and a read whose answer the test gives. */
function reading({ mode = 'default' as TrackingMode, tracked = true, source = new Source() } = {}) {
  source.tracked = tracked;
  const sent: string[] = [];
  const announced = deferred();
  const connection = {
    session: { source: source as Source | undefined, rules: { mode } },
    overtakes: 0,
    send: (args: readonly string[]) => {
      sent.push(args.join(' '));
      return announced.promise;
    },
  };
  const order = judged(new SendOrder(connection as unknown as ClientConnection));
  const read = deferred();
  order.answeredBy(read.promise);
  return { source, sent, announced, connection, order, read };
}

describe('a read was tracked', () => {
  test('where tracking was answered before it was', async () => {
    const it = reading();
    expect(it.order.isTracked).toBe(false);
    it.read.resolve('value');
    await settled();
    expect(it.order.isTracked).toBe(true);
    expect(it.sent).toEqual([]);
  });

  test('where tracking was answered after it was sent, and before it was answered', async () => {
    const it = reading({ tracked: false });
    it.source.tracked = true;
    it.read.resolve('value');
    await settled();
    expect(it.order.isTracked).toBe(true);
  });

  test('in optin mode where what announces it was answered before', async () => {
    const it = reading({ mode: 'optin' });
    expect(it.sent).toEqual(['CLIENT CACHING YES']);
    it.announced.resolve('OK');
    it.read.resolve('value');
    await settled();
    expect(it.order.isTracked).toBe(true);
  });
});

describe('a read was not tracked', () => {
  test('that was answered before tracking was: it has overtaken it', async () => {
    const it = reading({ tracked: false });
    it.read.resolve('value');
    await settled();
    it.source.tracked = true;
    expect(it.order.isTracked).toBe(false);
  });

  test('that failed', async () => {
    const it = reading();
    it.read.reject(new Error('WRONGTYPE'));
    await settled();
    expect(it.order.isTracked).toBe(false);
  });

  test('where the connection was lost meanwhile, though the next one is tracked', async () => {
    const it = reading();
    it.source.lose();
    it.connection.session.source = Object.assign(new Source(), { tracked: true });
    it.read.resolve('value');
    await settled();
    expect(it.order.isTracked).toBe(false);
  });

  test('where the connection was down when it was sent', () => {
    const connection = { session: { source: undefined, rules: { mode: 'default' } }, overtakes: 0 };
    const order = new SendOrder(connection as unknown as ClientConnection);
    expect(order.isTracked).toBe(false);
  });

  test('in optin mode where it has overtaken what announces it', async () => {
    const it = reading({ mode: 'optin' });
    it.read.resolve('value');
    await settled();
    it.announced.resolve('OK');
    await settled();
    expect(it.order.isTracked).toBe(false);
  });

  test('in optin mode where announcing it was refused', async () => {
    const it = reading({ mode: 'optin' });
    it.announced.reject(new Error('ERR CLIENT CACHING can be called only when in tracking mode'));
    it.read.resolve('value');
    await settled();
    expect(it.order.isTracked).toBe(false);
  });

  test('in optin mode where some other command overtook, which may have used up what announced it', async () => {
    const it = reading({ mode: 'optin' });
    it.connection.overtakes += 1;
    it.announced.resolve('OK');
    it.read.resolve('value');
    await settled();
    expect(it.order.isTracked).toBe(false);
  });
});

test('in other modes commands that overtake change nothing', async () => {
  const it = reading({ mode: { broadcast: [''] } });
  it.connection.overtakes += 1;
  it.read.resolve('value');
  await settled();
  expect(it.order.isTracked).toBe(true);
});
