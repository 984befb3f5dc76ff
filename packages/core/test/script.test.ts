import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { defineScript, runScript } from '../src/script.ts';
import { FakeClient, settled } from '../src/testing/index.ts';

const lua = "return redis.call('GET', KEYS[1])";
const script = defineScript({ lua, keys: 1 });
const noscript = new Error('NOSCRIPT No matching script. Please use EVAL.');

test('a script knows its digest and number of keys', () => {
  expect(script).toEqual({ lua, keys: 1, sha1: createHash('sha1').update(lua).digest('hex') });
});

test('EVALSHA alone, when the server knows the script', async () => {
  const client = new FakeClient();
  const reply = runScript(client, script, ['k'], ['1', '']);
  client.next('EVALSHA', script.sha1, '1', 'k', '1', '').reply('value');
  expect(await reply).toBe('value');
  expect(client.sent).toEqual([]);
});

test('EVAL once on NOSCRIPT, with the same keys and arguments', async () => {
  const client = new FakeClient();
  const reply = runScript(client, script, ['k'], ['1']);
  client.next('EVALSHA').fail(noscript);
  await settled();
  client.next('EVAL', lua, '1', 'k', '1').reply('value');
  expect(await reply).toBe('value');
});

test('bytes and how the reply is wanted go along, also with EVAL', async () => {
  const client = new FakeClient();
  const [bytes, options] = [Buffer.from([0, 255]), { replies: 'buffers' }] as const;
  const reply = runScript(client, script, ['k'], [bytes], options);
  expect(client.next('EVALSHA')).toMatchObject({ options });
  client.next('EVALSHA').fail(noscript);
  await settled();
  const { args } = client.next('EVAL');
  expect([args.at(-1), client.next('EVAL').options]).toEqual([bytes, options]);
  client.next('EVAL').reply(bytes);
  expect(await reply).toBe(bytes);
});

test('NOSCRIPT for an EVAL too reaches the caller instead of going round for ever', async () => {
  const client = new FakeClient();
  const reply = runScript(client, script, ['k'], []);
  client.next('EVALSHA').fail(noscript);
  await settled();
  client.next('EVAL').fail(noscript);
  await expect(reply).rejects.toBe(noscript);
  expect(client.sent).toEqual([]);
});

test.for([
  new Error('ERR wrong number of arguments, said NOSCRIPT'),
  new Error('the connection was lost'),
  'NOSCRIPT as a string',
])('%s is not tried again', async (error) => {
  const client = new FakeClient();
  const reply = runScript(client, script, ['k'], []);
  client.next('EVALSHA').fail(error);
  await expect(reply).rejects.toBe(error);
  expect(client.sent).toEqual([]);
});
