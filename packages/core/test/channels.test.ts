import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, test } from 'vitest';
import { callSafely, publish, publisher } from '../src/channels.ts';

function listening(channel: string) {
  const messages: unknown[] = [];
  const note = (message: unknown): void => void messages.push(message);
  subscribe(channel, note);
  return { messages, [Symbol.dispose]: () => void unsubscribe(channel, note) };
}

test('a payload is not even built when nobody listens', () => {
  let built = 0;
  const payload = (): { cause: 'flush'; entries: number } => {
    built += 1;
    return { cause: 'flush', entries: built };
  };
  publish('redcache:flush', payload);
  expect(built).toBe(0);
  {
    using channel = listening('redcache:flush');
    publish('redcache:flush', payload);
    expect(channel.messages).toEqual([{ cause: 'flush', entries: 1 }]);
  }
  publish('redcache:flush', payload);
  expect(built).toBe(1);
});

test('packages publish on channels of their own', () => {
  const publishMine = publisher<{ 'mine:thing': { readonly size: number } }>();
  using channel = listening('mine:thing');
  publishMine('mine:thing', () => ({ size: 5 }));
  expect(channel.messages).toEqual([{ size: 5 }]);
});

test('what a callback throws is reported and goes no further', () => {
  using channel = listening('redcache:callback-error');
  let ran = 0;
  callSafely('fine', () => {
    ran += 1;
  });
  expect(() =>
    callSafely('mine', () => {
      throw 'text';
    }),
  ).not.toThrow();
  expect(ran).toBe(1);
  expect(channel.messages).toEqual([{ callback: 'mine', error: 'text' }]);
});
