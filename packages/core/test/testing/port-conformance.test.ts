import { FakeClient, type PortUnderTest, portConformance } from '@redcache/core/testing';
import { expect, test } from 'vitest';

test('no two cases have the same name', () => {
  const names = portConformance(() => Promise.reject(new Error('not called'))).map(
    ({ name }) => name,
  );
  expect(names.length).toBeGreaterThan(20);
  expect(new Set(names).size).toBe(names.length);
});

test('for a port without replace() the cases about it are left out, and no other', () => {
  const makePort = () => Promise.reject(new Error('not called'));
  const all = portConformance(makePort).map(({ name }) => name);
  const some = portConformance(makePort, { replaces: false }).map(({ name }) => name);
  expect(all.filter((name) => !some.includes(name))).toEqual(
    all.filter((name) => name.startsWith('replace()')),
  );
  expect(all.length).toBeGreaterThan(some.length);
});

test('a case whose port cannot be made rejects with the reason', async () => {
  const reason = new Error('no server');
  for (const { run } of portConformance(() => Promise.reject(reason)))
    await expect(run()).rejects.toBe(reason);
});

test('a case that fails says what it waited for, and closes all that it was given', async () => {
  const closed: string[] = [];
  const makePort = async (): Promise<PortUnderTest> => ({
    port: new FakeClient(),
    close: () => closed.push('client'),
    others: { send: () => Promise.resolve('OK'), close: () => closed.push('others') },
  });
  const [first] = portConformance(makePort, { deadlineMs: 10 });
  await expect(first?.run()).rejects.toThrow(
    /^waited 10 ms for the connection to be up; heard: down$/,
  );
  expect(closed).toEqual(['client', 'others']);
});
