import assert from 'node:assert/strict';
import { isServerError } from '../../script.ts';
import { type Cases, upTo } from './port-trial.ts';

/** How the connection is, is told in time, and nothing hangs on one that is gone. */
export const LOSSES: Cases = {
  'how the connection is, is told in the call itself and then at each change': async (t) => {
    const told: string[] = [];
    t.port.onConnection((connection) => told.push(connection));
    assert.deepEqual(told, ['up']);
    await t.cutAndUp();
    assert.deepEqual(told, ['up', 'down', 'up']);
  },

  'a loss is told before any command it leaves unanswered rejects, and all of them reject': async (
    t,
  ) => {
    const id = String(await t.send('CLIENT', 'ID'));
    const stuck = [t.block(), ...upTo(10).map(() => t.outcome(t.port.send(['PING']), 'a PING'))];
    for (const each of stuck) each.then(() => t.heard.push('settled'));
    await t.others('CLIENT', 'KILL', 'ID', id);
    for (const outcome of await Promise.all(stuck)) isConnectionError(outcome);
    assert.deepEqual(t.heard.slice(0, 3), ['up', 'down', 'settled']);
  },

  'after a loss it comes up by itself, on another connection, with the same listeners': async (
    t,
  ) => {
    await t.track();
    const before = await t.send('CLIENT', 'ID');
    await t.cutAndUp();
    assert.notEqual(await t.send('CLIENT', 'ID'), before);
    await t.track();
    await t.send('GET', t.key('k'));
    await t.others('SET', t.key('k'), 'new');
    await t.drain();
    assert.deepEqual(t.heard, ['up', 'down', 'up', `push ${t.key('k')}`]);
  },

  'a command sent while it is down is answered later or rejects': async (t) => {
    const sent: Promise<unknown>[] = [];
    const stop = t.port.onConnection((connection) => {
      if (connection === 'down')
        sent.push(t.outcome(t.port.send(['PING']), 'a PING sent when down'));
    });
    await t.cutAndUp();
    stop();
    assert.equal(sent.length, 1);
    await Promise.all(sent);
  },

  'a command sent by a listener that is told up is sent at once': async (t) => {
    const ids: Promise<unknown>[] = [];
    const stop = t.port.onConnection((connection) => {
      if (connection === 'up') ids.push(t.send('CLIENT', 'ID'));
    });
    await t.cutAndUp();
    stop();
    assert.equal(new Set(await Promise.all(ids)).size, 2);
  },

  'a connection listener that was stopped hears nothing more': async (t) => {
    const told: string[] = [];
    t.port.onConnection((connection) => told.push(connection))();
    await t.cutAndUp();
    assert.deepEqual(told, ['up']);
  },

  'closed by its owner it says so, and what is outstanding or sent later rejects': async (t) => {
    const stuck = t.block();
    await t.closeClient();
    await t.until(() => t.connection === 'closed', 'closed');
    isConnectionError(await stuck);
    isConnectionError(await t.outcome(t.port.send(['PING']), 'a PING after close'));
    assert.equal(t.heard.includes('up', 1), false);
  },
};

/** The connection can be exchanged. */
export const REPLACING: Cases = {
  'replace() ends the connection, rejects what is outstanding and comes back with another one':
    async (t) => {
      const before = await t.send('CLIENT', 'ID');
      const stuck = t.block();
      assert.ok(t.port.replace, 'the port has no replace()');
      t.port.replace();
      await t.until(() => t.heard.length >= 3, 'down and up');
      isConnectionError(await stuck);
      assert.deepEqual(t.heard, ['up', 'down', 'up']);
      assert.notEqual(await t.send('CLIENT', 'ID'), before);
      await t.until(async () => {
        const listed = await t.others('CLIENT', 'LIST', 'ID', String(before));
        return String(listed).trim() === '';
      }, 'the server to see the old connection end');
    },

  'replace() while it is down, or twice, changes nothing else': async (t) => {
    const stop = t.port.onConnection((connection) => {
      if (connection === 'down') t.port.replace?.();
    });
    t.port.replace?.();
    t.port.replace?.();
    await t.until(() => t.heard.length >= 3, 'down and up');
    stop();
    await t.drain();
    assert.deepEqual(t.heard, ['up', 'down', 'up']);
  },
};

/** Told apart from the server's own errors, which say that a command did not run. */
function isConnectionError(outcome: { readonly is: string; readonly reason?: unknown }): void {
  assert.equal(outcome.is, 'rejected');
  assert.ok(outcome.reason instanceof Error);
  assert.ok(!isServerError(outcome.reason), `looks like the server's: ${outcome.reason.message}`);
}
