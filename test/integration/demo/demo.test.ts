import { createClient } from 'redis';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { runDemo, startDemo } from './demo.ts';

/** A run of a few seconds, and what Postgres and the processes take to start on a busy machine. */
const timeout = 60_000;
/** How things stand, once a second where there is no terminal. */
const LINE = /^ +\d+ s · .* reads\/s · memory .* · stale 0 · double loads 0$/m;
const few = ['--processes', '2', '--read-rate', '1000'];

test('a run ends with a summary of what was read, and leaves nothing behind', {
  timeout,
}, async () => {
  const { exit, output, errors, left } = await runDemo([...few, '--seconds', '5']);
  expect({ exit, errors: stackOf(errors) }).toEqual({
    exit: { code: 0, signal: null },
    errors: [],
  });
  expect(output).toMatch(/^warmed 250 of 250 \(100\.0 %\) · [\d,]+\/s$/m);
  expect(output).toMatch(/^ {2}warmed +250 countries in [\d.]+ m?s, before the first read$/m);
  expect(output).toMatch(LINE);
  expect(output).toMatch(/^ {2}reads +[\d,]+, [\d,]+ a second$/m);
  expect(output).toMatch(/^ {2}SQL queries +[\d,]+ instead of [\d,]+: \d+\.\d % saved$/m);
  expect(output).toMatch(/^ {2}updates +[1-9]/m);
  expect(output).toMatch(/^ {2}stale reads +0 beyond/m);
  expect(output).toMatch(/^ {2}double loads +0 among [\d,]+ loads$/m);
  expect(output).toMatch(/^ +[1-9]\d* regions? at once, [1-9]\d* rows: .* one tag/m);
  expect(output).toMatch(/^ {2}failed reads +0$/m);
  expect(output).toMatch(/^ {2}database +stopped for .*, in which [1-9][\d,]* reads? went on$/m);
  expect(output).toMatch(/^ +[1-9][\d,]* of them got what had aged, by grace$/m);
  expect(output).toContain('All as promised.');
  expect(left()).toEqual([]);
});

test('reads go on while its Redis is killed, and caching comes back', { timeout }, async () => {
  const { exit, output, errors, left } = await runDemo([...few, '--seconds', '5', '--kill-redis']);
  expect({ exit, errors: stackOf(errors) }).toEqual({
    exit: { code: 0, signal: null },
    errors: [],
  });
  expect(output).toMatch(/^ {2}Redis +killed, and started again [\d.]+ m?s later, empty$/m);
  expect(output).toMatch(/^ +[1-9][\d,]* reads answered meanwhile, by [1-9][\d,]* loads?$/m);
  expect(output).toMatch(/^ +answered from memory again .* after its new start$/m);
  expect(output).toMatch(/^ {2}failed reads +0$/m);
  expect(left()).toEqual([]);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`${signal} ends it cleanly, with the summary of what was seen`, { timeout }, async () => {
    const demo = startDemo([...few, '--seconds', '600']);
    await demo.hasWritten(LINE);
    // So that the check below is known to see what there is to see: itself, two readers, Redis.
    expect(demo.left().length).toBeGreaterThanOrEqual(4);
    demo.signal(signal);
    const { exit, output, errors, left } = await demo.ended;
    expect({ exit, errors: stackOf(errors) }).toEqual({
      exit: { code: 0, signal: null },
      errors: [],
    });
    expect(output).toContain('All as promised.');
    expect(left()).toEqual([]);
  });

test('nothing outlives it when it is killed', { timeout }, async () => {
  const demo = startDemo([...few, '--seconds', '600']);
  await demo.hasWritten(LINE);
  expect(demo.left().length).toBeGreaterThanOrEqual(4);
  demo.signal('SIGKILL');
  await demo.ended;
  expect(await eventually(demo.left, (left) => left.length === 0)).toEqual([]);
});

test('a Redis of the user keeps its own keys and gets rid of those of the demo', {
  timeout,
}, async () => {
  const url = inject('redis').standalone;
  const client = await createClient({ url }).connect();
  try {
    await client.set('not-of-the-demo', 'kept');
    const { exit, output } = await runDemo([...few, '--seconds', '2', '--url', url]);
    expect(exit).toEqual({ code: 0, signal: null });
    expect(output).toContain(`Redis at ${new URL(url).host}`);
    expect(await client.keys('*redcache-demo*')).toEqual([]);
    expect(await client.get('not-of-the-demo')).toBe('kept');
  } finally {
    await client.del('not-of-the-demo');
    client.destroy();
  }
});

test('the help is printed, and nothing is run', { timeout }, async () => {
  const { exit, output, errors } = await runDemo(['--help']);
  expect({ exit, errors }).toEqual({ exit: { code: 0, signal: null }, errors: '' });
  expect(output).toMatch(/^Usage: npm start -- \[options\]$/m);
  expect(output).toContain('--kill-redis');
});

test.for([
  [['--speed', '9'], "Unknown option '--speed'"],
  [['--processes', 'many'], '--processes must be a whole number'],
  [['--kill-redis', '--url', 'redis://127.0.0.1:1'], '--kill-redis'],
] as const)('%j is refused in one line', { timeout }, async ([args, words]) => {
  const { exit, output, errors } = await runDemo(args);
  expect({ exit, output }).toEqual({ exit: { code: 2, signal: null }, output: '' });
  expect(errors).toContain(words);
  expect(errors.trim().split('\n')).toHaveLength(1);
});

test('a Redis that is not there is said in one line', { timeout }, async () => {
  const { exit, output, errors } = await runDemo(['--url', 'redis://127.0.0.1:1']);
  expect({ exit, output }).toEqual({ exit: { code: 1, signal: null }, output: '' });
  expect(errors).toContain("Redis at 127.0.0.1:1 can't be used");
  expect(errors.trim().split('\n')).toHaveLength(1);
});

/** The lines of stack traces. */
function stackOf(errors: string): string[] {
  return errors.split('\n').filter((line) => /^\s+at /.test(line));
}
