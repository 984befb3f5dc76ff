import assert from 'node:assert/strict';
import { isServerError } from '../../script.ts';
import { type Cases, upTo } from './port-trial.ts';

/** What is sent arrives, and what is answered is told as it was answered. */
export const REPLIES: Cases = {
  'commands sent in one tick reach the server in the order of the calls': async (t) => {
    const list = t.key('list');
    const sent = upTo(500).map((each) => t.send('RPUSH', list, each));
    assert.deepEqual(
      await Promise.all(sent),
      upTo(500).map((each) => Number(each) + 1),
    );
    assert.deepEqual(await t.send('LRANGE', list, '0', '-1'), upTo(500));
  },

  'all commands travel on one connection': async (t) => {
    const ids = await Promise.all(upTo(20).map(() => t.send('CLIENT', 'ID')));
    assert.equal(new Set(ids).size, 1);
  },

  'replies are told in the order of the calls': async (t) => {
    const told: string[] = [];
    const long = 'x'.repeat(100_000);
    const texts = upTo(100).map((each) => (Number(each) % 7 === 0 ? each + long : each));
    await Promise.all(texts.map((text) => t.send('ECHO', text).then(() => told.push(text))));
    assert.deepEqual(told, texts);
  },

  'text of more than a megabyte is decoded as UTF-8, wherever the network cuts it': async (t) => {
    const text = 'ключ €🔑 '.repeat(80_000);
    assert.equal(await t.send('SET', t.key('long'), text), 'OK');
    assert.equal(await t.send('GET', t.key('long')), text);
  },

  'arguments arrive as they are, empty ones and those with line breaks included': async (t) => {
    for (const text of ['', ' ', '\r\n', '$1\r\nx\r\n', '"\'\\\0'])
      assert.equal(await t.send('ECHO', text), text);
  },

  'bytes that are no text arrive as they are, and are answered so where that is asked for': async (
    t,
  ) => {
    const bytes = Buffer.from(upTo(256).map(Number));
    const key = t.key('bytes');
    assert.equal(await t.send('SET', key, bytes), 'OK');
    const replies = [
      t.sendForBytes('GET', key),
      t.sendForBytes('EVAL', "return {1, {KEYS[1], redis.call('GET', KEYS[1])}, false}", '1', key),
      t.sendForBytes('GET', t.key('nothing')),
      t.send('STRLEN', key),
      t.send('ECHO', key),
    ];
    assert.deepEqual(await Promise.all(replies), [
      bytes,
      [1, [Buffer.from(key), bytes], null],
      null,
      256,
      key,
    ]);
    const refused = await t.outcome(t.sendForBytes('LLEN', key), 'LLEN of bytes');
    assert.ok(refused.is === 'rejected' && isServerError(refused.reason));
  },

  'what is not there is null, integers are numbers, arrays nest': async (t) => {
    assert.equal(await t.send('GET', t.key('nothing')), null);
    assert.equal(await t.send('INCR', t.key('counter')), 1);
    const nested = "return {1, {2, 'two', {}}, false, '€'}";
    assert.deepEqual(await t.send('EVAL', nested, '0'), [1, [2, 'two', []], null, '€']);
  },

  'a map is a Map, an object, or names and values in turn': async (t) => {
    await t.track();
    assert.ok(flagsOf(await t.send('CLIENT', 'TRACKINGINFO')).includes('on'));
  },

  'an error of the server rejects with an Error that begins with its code, and belongs to its command':
    async (t) => {
      const list = t.key('list');
      await t.send('RPUSH', list, 'a');
      const [wrong, pong, unknown, length] = await Promise.all([
        t.outcome(t.send('GET', list), 'GET of a list'),
        t.send('PING'),
        t.outcome(t.send('NO_SUCH_COMMAND'), 'an unknown command'),
        t.send('LLEN', list),
      ]);
      for (const [outcome, code] of [
        [wrong, /^WRONGTYPE /],
        [unknown, /^ERR /],
      ] as const) {
        assert.equal(outcome.is, 'rejected');
        assert.ok(outcome.reason instanceof Error && isServerError(outcome.reason));
        assert.match(outcome.reason.message, code);
      }
      assert.deepEqual([pong, length], ['PONG', 1]);
    },
};

function flagsOf(info: unknown): string[] {
  const pairs = info instanceof Map ? info : Array.isArray(info) ? inTurn(info) : undefined;
  const flags = pairs ? pairs.get('flags') : (info as { flags?: unknown } | null)?.flags;
  assert.ok(flags instanceof Set || Array.isArray(flags), 'no flags in CLIENT TRACKINGINFO');
  return [...flags].map(String);
}

const inTurn = (flat: readonly unknown[]): Map<unknown, unknown> =>
  new Map(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]] as const] : [])));
