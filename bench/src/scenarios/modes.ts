import assert from 'node:assert/strict';
import type { Effort } from '../harness.ts';
import { type Contender, type Panel, panelOf } from '../panel.ts';
import { frame, RawLine } from '../raw-line.ts';
import { removeKeys } from '../remove-keys.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { ServerProbe } from '../server-probe.ts';
import type { Unit } from '../unit.ts';

const READERS = 10;
const VALUE = 'x'.repeat(100);
/** Keys that one command reads. */
const READ_AT_ONCE = 1000;

export const modes: Scenario = {
  kind: 'study',
  name: 'modes',
  question: `What do the modes of tracking cost the server? (${READERS} connections that all read the same keys)`,
  run: runModes,
};

interface Mode {
  readonly name: string;
  /** After `CLIENT TRACKING`; none: without tracking. */
  readonly tracking?: (namespace: string) => readonly string[];
  /** Whether each read must say that it is to be tracked. */
  readonly optsIn?: boolean;
  /** Whether the connection that writes is tracked as well, and has read all keys. */
  readonly writerToo?: boolean;
  /** The pushes that one write of a key causes that all have read. */
  readonly pushes: number;
}

/** The first is what the others are compared with. */
const MODES: readonly Mode[] = [
  { name: 'no tracking', pushes: 0 },
  { name: 'default', tracking: () => ['ON'], pushes: READERS },
  { name: 'optin', tracking: () => ['ON', 'OPTIN'], optsIn: true, pushes: READERS },
  {
    name: 'broadcast, one prefix',
    tracking: (namespace) => ['ON', 'BCAST', 'PREFIX', namespace],
    pushes: READERS,
  },
  { name: 'default, writer too', tracking: () => ['ON'], writerToo: true, pushes: READERS + 1 },
  {
    name: 'noLoop, writer too',
    tracking: () => ['ON', 'NOLOOP'],
    writerToo: true,
    pushes: READERS,
  },
];

/** What writing every key once cost. */
interface WriteCost {
  readonly perSecond: number;
  readonly serverUs: number;
  /** Keys that the connections were told of, for each write. */
  readonly pushes: number;
}

interface Found {
  readonly bytesPerKey: number;
  readonly readUs: number;
  /** Of keys that every connection has read. */
  readonly held: WriteCost;
  /** The same once more, when nobody has read them since. */
  readonly unheld: WriteCost;
}

async function runModes(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const keys = Array.from(
    { length: effort.name === 'quick' ? 10_000 : 50_000 },
    (_, i) => `${namespace}:${i}`,
  );
  const sets = keys.map((key) => frame('SET', key, VALUE));
  const reads = Array.from({ length: keys.length / READ_AT_ONCE }, (_, i) =>
    // Tracked as any read, and answered with a number.
    frame('EXISTS', ...keys.slice(i * READ_AT_ONCE, (i + 1) * READ_AT_ONCE)),
  );
  await using probe = await ServerProbe.open(url);
  try {
    const subjects = [...MODES, MODES[0] as Mode];
    const figures = await inTurn(subjects, Math.ceil(effort.rounds / 3), (mode) =>
      measureMode(mode, { url, namespace, sets, reads, probe }),
    );
    return { panels: panelsOf(keys.length, figures), outcomes: [] };
  } finally {
    await removeKeys(url, namespace);
  }
}

interface Work {
  readonly url: string;
  readonly namespace: string;
  readonly sets: readonly Buffer[];
  readonly reads: readonly Buffer[];
  readonly probe: ServerProbe;
}

async function measureMode(mode: Mode, work: Work): Promise<Found> {
  const { url, namespace, sets, reads, probe } = work;
  // A push names the key; nothing else that comes back does.
  const open = (): Promise<RawLine> => RawLine.open(url, `${namespace}:`);
  const readers = await Promise.all(Array.from({ length: READERS }, open));
  const writer = await open();
  const tracked = mode.writerToo === true ? [...readers, writer] : readers;
  try {
    await writer.send(...sets);
    const memory = (): Promise<number> => probe.figure('memory', 'used_memory');
    const before = await memory();
    const readBeginUs = await probe.cpuUs();
    for (const line of tracked) await readAll(line);
    const readUs = (await probe.cpuUs()) - readBeginUs;
    const bytes = (await memory()) - before;
    const held = await writeAll();
    assert.equal(held.pushes, mode.pushes, `pushes for a write in mode ${mode.name}`);
    const unheld = await writeAll();
    return {
      bytesPerKey: bytes / sets.length,
      readUs: readUs / (sets.length * tracked.length),
      held,
      unheld,
    };
  } finally {
    for (const line of [...readers, writer]) line.close();
  }

  async function readAll(line: RawLine): Promise<void> {
    if (mode.tracking !== undefined)
      await line.send(frame('CLIENT', 'TRACKING', ...mode.tracking(namespace)));
    const optIn = mode.optsIn ? [frame('CLIENT', 'CACHING', 'YES')] : [];
    for (const read of reads) await line.send(...optIn, read);
  }

  async function writeAll(): Promise<WriteCost> {
    const pushed = (): number => tracked.reduce((sum, line) => sum + line.found, 0);
    const pushedBefore = pushed();
    const beginUs = await probe.cpuUs();
    const beginMs = performance.now();
    await writer.send(...sets);
    const elapsedMs = performance.now() - beginMs;
    // Whatever was pushed before comes before the answer.
    for (const line of tracked) await line.send();
    const serverUs = (await probe.cpuUs()) - beginUs;
    return {
      perSecond: (1000 * sets.length) / elapsedMs,
      serverUs: serverUs / sets.length,
      pushes: (pushed() - pushedBefore) / sets.length,
    };
  }
}

/** A mode that sends nothing is the limit; the others are what can be chosen. */
function panelsOf(keys: number, figures: readonly (readonly Found[])[]): readonly Panel[] {
  const contenders = MODES.map(
    ({ name, tracking }): Contender => ({
      name,
      standing: tracking === undefined ? 'limit' : 'ours',
    }),
  );
  const panel = (
    setting: string,
    [figure, unit, better]: readonly [string, Unit, Panel['better']],
    pick: (found: Found) => number,
  ): Panel => panelOf({ setting, figure, unit, better }, contenders, figures, pick);
  const count = `${keys.toLocaleString('en')} keys`;
  return [
    panel(count, ['memory for a key', 'bytes', 'less'], (found) => found.bytesPerKey),
    panel(count, ['server CPU to read one', 'µs', 'less'], (found) => found.readUs),
    ...(['held', 'unheld'] as const).flatMap((which) => {
      const setting = which === 'held' ? 'writes of keys read by all' : 'writes of keys unread';
      return [
        panel(setting, ['SET', '/s', 'more'], (found) => found[which].perSecond),
        panel(setting, ['server CPU', 'µs', 'less'], (found) => found[which].serverUs),
        panel(setting, ['pushes', 'count', 'less'], (found) => found[which].pushes),
      ];
    }),
  ];
}
