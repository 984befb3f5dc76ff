import assert from 'node:assert/strict';
import { type Cases, upTo } from './port-trial.ts';

/** Every push is told, in the order of the server. */
export const PUSHES: Cases = {
  'a push is told with its keys as text': async (t) => {
    const keys = ['a', 'b', 'c'].map((name) => t.key(name));
    await t.track();
    await t.send('MGET', ...keys);
    await t.others('MSET', ...keys.flatMap((key) => [key, 'new']));
    await t.drain();
    assert.deepEqual(t.heard.slice(1).sort(), keys.map((key) => `push ${key}`).sort());
  },

  'a flush is told as a flush': async (t) => {
    await t.track();
    await t.send('GET', t.key('k'));
    await t.others('FLUSHALL');
    await t.drain();
    assert.deepEqual(t.heard, ['up', 'flush']);
  },

  // Without it a reply that a change overtook would be kept.
  'a push that was sent before a reply is told before the continuation of that reply runs': async (
    t,
  ) => {
    await t.track();
    for (const round of upTo(200)) {
      const key = t.key(round);
      const order: string[] = [];
      const stop = t.port.onPush(() => order.push('push'));
      const sent = [['GET', key], ['SET', key, round], ['PING']].map((args) => t.port.send(args));
      await t.within(
        Promise.all(sent.map((reply, i) => reply.then(() => order.push(String(i))))),
        'replies',
      );
      stop();
      const [push, ping] = [order.indexOf('push'), order.indexOf('2')];
      assert.ok(push >= 0 && push < ping, `round ${round}: told in the order ${order.join(', ')}`);
    }
  },

  'a push is told while nothing is outstanding': async (t) => {
    await t.track();
    await t.send('GET', t.key('k'));
    await t.others('SET', t.key('k'), 'new');
    await t.until(() => t.heard.includes(`push ${t.key('k')}`), 'the push');
  },

  'CLIENT CACHING YES holds for the command sent right behind it, whoever else is sending': async (
    t,
  ) => {
    await t.track('OPTIN');
    const [first, second] = [t.key('first'), t.key('second')];
    await Promise.all([
      ...upTo(50).map((each) => t.send('GET', t.key(each))),
      t.send('CLIENT', 'CACHING', 'YES'),
      t.send('GET', first),
      t.send('GET', second),
    ]);
    await t.others('MSET', first, 'new', second, 'new', ...upTo(50).flatMap((i) => [t.key(i), i]));
    await t.drain();
    assert.deepEqual(t.heard, ['up', `push ${first}`]);
  },

  'a push listener that was stopped hears nothing more, and the others do': async (t) => {
    const heard: string[] = [];
    const stops = ['stopped', 'left'].map((name) => t.port.onPush(() => heard.push(name)));
    await t.track();
    stops[0]?.();
    await t.send('GET', t.key('k'));
    await t.others('SET', t.key('k'), 'new');
    await t.drain();
    assert.deepEqual(heard, ['left']);
    stops[1]?.();
  },
};
