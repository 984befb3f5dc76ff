import { expect, inject, test } from 'vitest';
import type { handlers as echo } from '../../children/echo.ts';
import type { handlers as serverStarter } from '../../children/server-starter.ts';
import { startChildren } from '../../support/children.ts';
import { eventually } from '../../support/eventually.ts';
import { isRunning } from '../../support/managed-process.ts';

const byBinary = inject('redis').by === 'binary';

test('children answer requests, with values that JSON has no word for', async () => {
  await using children = await startChildren<typeof echo>('echo.ts', { count: 3 });
  expect(await children.requestAll('add', 2, 3)).toEqual([5, 5, 5]);
  const value = { at: new Date(0), big: 1n, map: new Map([['k', new Uint8Array([1])]]) };
  expect(await children.all[0]?.request('echo', value)).toEqual(value);
});

test('children at a barrier go together, and not before the last has come', async () => {
  await using children = await startChildren<typeof echo>('echo.ts', { count: 4 });
  const [late, ...early] = children.all;
  const met = early.map((child) => child.request('meet'));
  await Promise.all(early.map((child) => child.arrival('start')));
  const released = children.release();
  const last = late?.request('meet');
  await released;
  const times = await Promise.all([...met, last]);
  const lastCameAtMs = Math.max(...times.map((time) => time?.beforeMs ?? 0));
  for (const time of times) expect(time?.afterMs).toBeGreaterThanOrEqual(lastCameAtMs);
});

test('events reach the parent', async () => {
  await using children = await startChildren<typeof echo>('echo.ts');
  const [child] = children.all;
  const heard = child?.event('progress');
  await child?.request('announce', 'other', 1);
  await child?.request('announce', 'progress', 2);
  expect(await heard).toBe(2);
});

test('a listener hears every event of its name, those too that were sent right before a crash', async () => {
  await using children = await startChildren<typeof echo>('echo.ts');
  const [child] = children.all;
  const heard: unknown[] = [];
  child?.onEvent('progress', (value) => heard.push(value));
  await child?.request('announce', 'progress', 1);
  await child?.request('announce', 'other', 2);
  // Whether that is answered is another matter.
  child?.request('announce', 'progress', 3).catch(() => {});
  await expect(child?.request('crash', '')).rejects.toThrow('exit 3');
  expect(heard).toEqual([1, 3]);
});

test("a child's error comes with its code, and the child goes on", async () => {
  await using children = await startChildren<typeof echo>('echo.ts');
  const [child] = children.all;
  await expect(child?.request('fail', 'out of luck', 'E_LUCK')).rejects.toMatchObject({
    code: 'E_LUCK',
    message: expect.stringContaining('out of luck'),
  });
  expect(await child?.request('add', 1, 1)).toBe(2);
});

test('what a child wrote before it crashed is in the error of whoever waits for it', async () => {
  await using children = await startChildren<typeof echo>('echo.ts');
  const [child] = children.all;
  const waiting = expect(child?.event('never')).rejects.toThrow('last words');
  await expect(child?.request('crash', 'last words')).rejects.toThrow(/exit 3[\s\S]*last words/);
  await waiting;
  await expect(child?.request('add', 1, 1)).rejects.toThrow('last words');
});

test('a paused child answers when it is resumed; paused or not, it can be killed', async () => {
  await using children = await startChildren<typeof echo>('echo.ts', { count: 2 });
  const [paused, running] = children.all;
  await paused?.pause();
  let answered = false;
  const sum = paused?.request('add', 1, 2).finally(() => {
    answered = true;
  });
  for (let i = 0; i < 20; i += 1) await running?.request('add', 1, 2);
  expect(answered).toBe(false);
  paused?.resume();
  expect(await sum).toBe(3);
  await paused?.pause();
  expect(await paused?.kill()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(await running?.kill('SIGTERM')).toEqual({ code: null, signal: 'SIGTERM' });
});

test('none is left when they are stopped', async () => {
  const children = await startChildren<typeof echo>('echo.ts', { count: 3 });
  await children.all[1]?.pause();
  await children.stop();
  expect(children.all.filter(({ pid }) => isRunning(pid))).toEqual([]);
});

test('a script that is not there is an error that names it', async () => {
  await expect(startChildren('no-such-child.ts')).rejects.toThrow(/no-such-child\.js is missing/);
});

for (const state of ['running', 'paused'] as const) {
  test.runIf(byBinary)(
    `a ${state} server ends with the process that started it, killed by SIGKILL`,
    async () => {
      await using children = await startChildren<typeof serverStarter>('server-starter.ts');
      const [child] = children.all;
      const pid = Number(await child?.request('startServer', state));
      expect(isRunning(pid)).toBe(true);
      await child?.kill('SIGKILL');
      await eventually(() => !isRunning(pid), Boolean, { what: `server ${pid} to end` });
    },
  );

  test(`a ${state} child ends with the process that started it, killed by SIGKILL`, async () => {
    await using children = await startChildren<typeof serverStarter>('server-starter.ts');
    const [child] = children.all;
    const pid = Number(await child?.request('startChild', state));
    expect(isRunning(pid)).toBe(true);
    await child?.kill('SIGKILL');
    await eventually(() => !isRunning(pid), Boolean, { what: `child ${pid} to end` });
  });
}

test.runIf(byBinary)(
  'a server ends with the process that started it, ended by an error',
  async () => {
    await using children = await startChildren<typeof serverStarter>('server-starter.ts');
    const [child] = children.all;
    const pid = Number(await child?.request('startServer', 'running'));
    await child?.request('throwUncaught');
    expect(await child?.exited).toMatchObject({ code: 1 });
    await eventually(() => !isRunning(pid), Boolean, { what: `server ${pid} to end` });
  },
);

test.runIf(byBinary)(
  'a server of a busy worker ends when the parent of the worker is killed',
  async () => {
    await using children = await startChildren<typeof serverStarter>('server-starter.ts');
    const [child] = children.all;
    const pid = Number(await child?.request('startBusyStarter'));
    expect(isRunning(pid)).toBe(true);
    await child?.kill('SIGKILL');
    await eventually(() => !isRunning(pid), Boolean, { what: `server ${pid} to end` });
  },
);
