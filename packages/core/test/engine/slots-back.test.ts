import { expect, test } from 'vitest';
import { attach } from '../../src/attach.ts';
import { FakeClient, ManualClock, settled } from '../../src/testing/index.ts';
import { createTrackingCache } from '../../src/tracking-cache.ts';
import { present } from './setting.ts';

/** A node of a cluster that owns all slots whenever it is asked. */
class ClusterNode extends FakeClient {
  readonly cluster = true;
  epoch = 1;

  async answer(): Promise<void> {
    while (this.sent.length > 0) {
      for (const { args, reply } of [...this.sent]) {
        const words = args.join(' ');
        if (words === 'CLUSTER MYID') reply('me');
        else if (words === 'CLUSTER SLOTS') reply([[0, 16_383, ['10.0.0.1', 6379, 'me', []]]]);
        else if (words === 'CLUSTER NODES') reply('me 10.0.0.1:6379@16379 myself,master - 0 0 1');
        else if (words === 'CLUSTER INFO')
          reply(`cluster_state:ok\r\ncluster_current_epoch:${this.epoch}\r\n`);
        else if (words === 'CLIENT TRACKINGINFO') reply({ flags: ['on'] });
        else {
          reply('OK');
          if (args[0] === 'SET') this.push(args[1] as string);
        }
      }
      await settled();
    }
  }
}

test('I4: slots that went away and came back between two heartbeats are found out', async () => {
  const clock = new ManualClock();
  const node = new ClusterNode();
  const cache = createTrackingCache({ clock });
  const { session } = attach(cache, node, { maxStaleness: '1m' });
  node.connection('up');
  await node.answer();
  cache.fill(cache.guard(['k'], undefined, session), 'k', 'v', present());
  expect(cache.lookup('k')).toBeDefined();
  // A replica took over, was written to, and gave way again.
  node.epoch = 3;
  clock.advance(30_000);
  await node.answer();
  expect(cache.lookup('k')).toBeUndefined();
});
