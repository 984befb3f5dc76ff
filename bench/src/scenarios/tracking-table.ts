import type { Effort } from '../harness.ts';
import type { Panel, PanelRow } from '../panel.ts';
import { frame, RawLine } from '../raw-line.ts';
import { removeKeys } from '../remove-keys.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { ServerProbe } from '../server-probe.ts';

/** Connections that have read every key. */
const CONNECTIONS = [1, 2, 4, 8, 16, 32] as const;
const KEYS: Readonly<Record<Effort['name'], number>> = { full: 100_000, quick: 20_000 };
const READ_AT_ONCE = 1000;

export const DEFAULT_MODE = 'default mode';
export const BROADCAST_MODE = 'broadcast mode, one prefix';
const MODES: Readonly<Record<string, (namespace: string) => readonly string[]>> = {
  [DEFAULT_MODE]: () => ['ON'],
  [BROADCAST_MODE]: (namespace) => ['ON', 'BCAST', 'PREFIX', namespace],
};

export const TRACKING_TABLE = 'tracking-table';
export const MEMORY_FOR_A_KEY = 'memory for a key';

export const trackingTable: Scenario = {
  kind: 'study',
  name: TRACKING_TABLE,
  question: 'How much memory of the server does a key take that so many connections have read?',
  run: runTrackingTable,
};

async function runTrackingTable(url: string, { name }: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const keys = Array.from({ length: KEYS[name] }, (_, i) => `${namespace}:${i}`);
  await using probe = await ServerProbe.open(url);
  try {
    const writer = await RawLine.open(url, namespace);
    await writer.send(...keys.map((key) => frame('SET', key, 'x')));
    writer.close();
    const rows: PanelRow[] = [];
    for (const [mode, tracking] of Object.entries(MODES)) {
      const bytes = await bytesByConnections(url, keys, tracking(namespace), probe);
      rows.push(
        ...CONNECTIONS.map((at, place) => ({
          name: mode,
          standing: 'limit' as const,
          at,
          rounds: [bytes[place] as number],
        })),
      );
    }
    return { panels: [panelOf(keys.length, rows)], outcomes: [] };
  } finally {
    await removeKeys(url, namespace);
  }
}

/** One round is enough: memory is counted, not timed. */
function panelOf(keys: number, rows: readonly PanelRow[]): Panel {
  return {
    setting: `${keys.toLocaleString('en')} keys`,
    figure: MEMORY_FOR_A_KEY,
    unit: 'bytes',
    better: 'less',
    along: 'connections',
    rows,
  };
}

/** One connection after the other reads all keys; answers the bytes for a key after each number. */
async function bytesByConnections(
  url: string,
  keys: readonly string[],
  tracking: readonly string[],
  probe: ServerProbe,
): Promise<readonly number[]> {
  const lines: RawLine[] = [];
  try {
    // All of them are there before, so that only what they track comes on top.
    for (let i = 0; i < Math.max(...CONNECTIONS); i += 1)
      lines.push(await RawLine.open(url, 'no needle'));
    const before = await probe.figure('memory', 'used_memory');
    const found: number[] = [];
    for (const [place, line] of lines.entries()) {
      await line.send(frame('CLIENT', 'TRACKING', ...tracking));
      for (let i = 0; i < keys.length; i += READ_AT_ONCE)
        await line.send(frame('EXISTS', ...keys.slice(i, i + READ_AT_ONCE)));
      if (!(CONNECTIONS as readonly number[]).includes(place + 1)) continue;
      const bytes = (await probe.figure('memory', 'used_memory')) - before;
      found.push(bytes);
    }
    return found.map((bytes) => Math.max(0, bytes) / keys.length);
  } finally {
    for (const line of lines) line.close();
  }
}
