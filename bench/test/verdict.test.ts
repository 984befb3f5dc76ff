import { describe, expect, test } from 'vitest';
import { Maintenance } from '../src/demo/maintenance.ts';
import { type LoaderRun, Overlaps } from '../src/demo/overlap.ts';
import type { ReaderReport } from '../src/demo/protocol.ts';
import { type Read, ReadLog } from '../src/demo/read-log.ts';
import { Staleness } from '../src/demo/staleness.ts';
import { Tally } from '../src/demo/tally.ts';
import { flawsOf, type Observed } from '../src/demo/verdict.ts';
import { nowMs } from '../src/now.ts';

const BOUND_MS = 2000;
const KEYS = ['country:XA', 'country:XB'];

const read = (more: Partial<Read> = {}): Read => ({
  ...{ key: 0, version: 2, beganAtMs: 500, tookMs: 0.001, source: 'local' },
  ...more,
});

/** A run in which one update of the first key was confirmed at 100 ms, and one read was right. */
function observe(
  reports: readonly Partial<ReaderReport>[],
  more: Partial<Observed> = {},
): string[] {
  const staleness = new Staleness();
  staleness.confirm('country:XA', 2, 100);
  const overlaps = new Overlaps();
  const tally = new Tally({ staleness, overlaps, keys: KEYS, boundMs: BOUND_MS, onRead: () => {} });
  for (const report of [{ reads: batch(read()) }, ...reports])
    tally.add({ ...emptyReport(), ...report });
  return flawsOf({
    ...{
      tally,
      outage: undefined,
      maintenance: undefined,
      confirmed: 1,
      hasWriter: true,
      interrupted: false,
      errors: [],
    },
    ...more,
  });
}

function batch(...reads: readonly Read[]): ReaderReport['reads'] {
  const log = new ReadLog();
  for (const each of reads) log.add(each);
  return log.take();
}

function emptyReport(): ReaderReport {
  const stats = { waits: 0, coalesced: 0, unavailable: 0 } as ReaderReport['stats'];
  return { process: 1, reads: batch(), failures: [], loads: [], lossesAtMs: [], stats, pushes: 0 };
}

test('a run in which all was right has no flaw', () => {
  expect(observe([])).toEqual([]);
});

describe('a stale read', () => {
  test('beyond the bound is a flaw, told with its key, version and lateness', () => {
    const stale = read({ version: 1, beganAtMs: 100 + BOUND_MS + 500 });
    expect(observe([{ process: 3, reads: batch(read(), stale) }])).toEqual([
      '1 stale read beyond the bound:',
      '  country:XA: reader 3 got version 1 2.5 s after a newer one had been confirmed',
    ]);
  });

  test('within the bound is none, nor is an old version of another key', () => {
    const late = read({ version: 1, beganAtMs: 100 + BOUND_MS });
    const other = read({ key: 1, version: 1, beganAtMs: 60_000 });
    expect(observe([{ reads: batch(late, other) }])).toEqual([]);
  });
});

describe('a double load', () => {
  const load = (process: number, beganAtMs: number): LoaderRun => ({
    ...{ key: 'country:XB', process, askedAtMs: beganAtMs - 1, beganAtMs },
    ...{ endedAtMs: beganAtMs + 10, leased: true },
  });

  test('of two processes is a flaw', () => {
    const flaws = observe([
      { process: 1, loads: [load(1, 100)] },
      { process: 2, loads: [load(2, 105)] },
    ]);
    expect(flaws).toEqual([
      '1 double load:',
      '  country:XB: reader 1 loaded it for 10.0 ms, reader 2 began as well 5.0 ms later',
    ]);
  });

  test('is none when a connection was lost in between, which a report says together with it', () => {
    const second = { process: 2, lossesAtMs: [102], loads: [load(2, 105)] };
    expect(observe([{ process: 1, loads: [load(1, 100)] }, second])).toEqual([]);
  });
});

test('a read that failed is a flaw', () => {
  expect(observe([{ failures: ['Error: out of luck'] }])).toEqual([
    '1 read failed:',
    '  Error: out of luck',
  ]);
});

test('what broke in the demo itself is a flaw', () => {
  expect(observe([], { errors: ['reader 2 ended by itself (SIGKILL)'] })).toEqual([
    'reader 2 ended by itself (SIGKILL)',
  ]);
});

describe('a run that shows nothing is no proof', () => {
  test('when nothing was read from memory, or nothing at all', () => {
    const staleness = new Staleness();
    const overlaps = new Overlaps();
    const options = { staleness, overlaps, keys: KEYS, boundMs: BOUND_MS, onRead: () => {} };
    const nothing = new Tally(options);
    expect(observe([], { tally: nothing })).toEqual(['nothing was read']);
    const uncached = new Tally(options);
    uncached.add({ ...emptyReport(), reads: batch(read({ source: 'loaded' })) });
    expect(observe([], { tally: uncached })).toEqual(['no read was answered from memory']);
  });

  test('when no update was confirmed, unless none was wanted or it was ended early', () => {
    expect(observe([], { confirmed: 0 })).toEqual(['no update was confirmed']);
    expect(observe([], { confirmed: 0, hasWriter: false })).toEqual([]);
    expect(observe([], { confirmed: 0, interrupted: true })).toEqual([]);
  });
});

describe('a database that is to be stopped', () => {
  /** Stopped and started again, with these reads meanwhile. */
  async function stopped(...reads: readonly Partial<Read>[]): Promise<Maintenance> {
    const calls: string[] = [];
    const maintenance = new Maintenance({
      database: { stop: () => void calls.push('stop'), start: () => void calls.push('start') },
      forMs: 600_000,
      prepare: async () => void calls.push('prepare'),
      resume: () => void calls.push('resume'),
    });
    const errors: unknown[] = [];
    maintenance.start(0, (error) => errors.push(error));
    await expect.poll(() => maintenance.isNow).toBe(true);
    maintenance.see(read({ beganAtMs: 0, source: 'aged' }));
    for (const each of reads) maintenance.see(read({ beganAtMs: nowMs(), ...each }));
    expect(calls).toEqual(['prepare', 'stop']);
    await maintenance.stop();
    maintenance.see(read({ beganAtMs: nowMs(), source: 'aged' }));
    expect([calls, errors]).toEqual([['prepare', 'stop', 'start', 'resume'], []]);
    return maintenance;
  }

  test('and was, with reads of what had aged: no flaw', async () => {
    const maintenance = await stopped({ source: 'aged' }, { source: 'local' });
    expect([maintenance.readsMeanwhile, maintenance.agedMeanwhile]).toEqual([2, 1]);
    expect(observe([], { maintenance })).toEqual([]);
  });

  test('and shows nothing: a flaw', async () => {
    expect(observe([], { maintenance: await stopped() })).toEqual([
      'no read was answered while the database was stopped',
    ]);
    expect(observe([], { maintenance: await stopped({ source: 'local' }) })).toEqual([
      'nothing that had aged was served while the database was stopped',
    ]);
  });

  test('and was not: a flaw, unless the run was ended early', async () => {
    const maintenance = new Maintenance({
      database: { stop: () => {}, start: () => {} },
      forMs: 1,
      prepare: () => Promise.resolve(),
      resume: () => {},
    });
    await maintenance.stop();
    expect(observe([], { maintenance })).toEqual(['the database was to be stopped, and was not']);
    expect(observe([], { maintenance, interrupted: true })).toEqual([]);
  });
});
