import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type Client, connect, UNTIMED } from '../connect.ts';
import type { Effort } from '../harness.ts';
import { type Load, type LoadCost, measureLoad } from '../load.ts';
import type { Contender, Panel } from '../panel.ts';
import { ratio } from '../ratio.ts';
import { removeKeys } from '../remove-keys.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { ServerProbe } from '../server-probe.ts';

const SIZES = [1, 2, 4, 8, 16, 64, 128] as const;
/**
 * Redis before 7.4 tracks all declared keys of a script once for each command in it, so that its cost
 * grows with the square of their number; several scripts of a few keys bound that.
 */
const CHUNK = 16;
const CONCURRENCY = 10;
/** Seven sizes are seven scenarios: the curve is what counts, not a point of it. */
const ROUNDS_PART = 1 / 2;
const KEYS = 4096;
const VALUE = 'x'.repeat(100);

/** KEYS: any. Answers what PTTL answers for each of them, in order. */
const SCRIPT =
  "local t = {} for i, key in ipairs(KEYS) do t[i] = redis.call('PTTL', key) end return t";

export const multi: Scenario = {
  kind: 'study',
  name: 'multi',
  question:
    'How are the remaining times of n keys read at the least cost: n pipelined PTTLs, or one script?',
  run: runMulti,
};

/** What is measured for each size. */
interface Ways<T> {
  /** Only the values. */
  readonly alone: T;
  readonly pttls: T;
  /** One for all keys. */
  readonly script: T;
  /** One for each {@link CHUNK} keys. */
  readonly chunks: T;
}

interface Size extends Ways<readonly LoadCost[]> {
  readonly keys: number;
}

async function runMulti(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  await using probe = await ServerProbe.open(url);
  const client = await connect(url, { commandOptions: UNTIMED });
  try {
    const keys = Array.from({ length: KEYS }, (_, i) => `${namespace}:${i}`);
    await Promise.all(keys.map((key) => client.set(key, VALUE, { PX: 3_600_000 })));
    await client.scriptLoad(SCRIPT);
    // As where it will be used: on a tracked connection each read is remembered by the server.
    await client.sendCommand(['CLIENT', 'TRACKING', 'ON']);
    const sizes: Size[] = [];
    for (const size of SIZES) {
      const loads = loadsOf(client, keys, size, effort);
      await checkAlike(loads);
      const [alone = [], pttls = [], script = [], chunks = []] = await inTurn(
        [loads.alone, loads.pttls, loads.script, loads.chunks],
        Math.ceil(effort.rounds * ROUNDS_PART),
        (load) => measureLoad(load, probe),
      );
      sizes.push({ keys: size, alone, pttls, script, chunks });
    }
    return { panels: panelsOf(sizes), report: reportOf(sizes), outcomes: [] };
  } finally {
    client.destroy();
    await removeKeys(url, namespace);
  }
}

/** All of them answer the values first. */
function loadsOf(
  client: Client,
  keys: readonly string[],
  size: number,
  { msPerRound }: Effort,
): Ways<Load> {
  const sha = createHash('sha1').update(SCRIPT).digest('hex');
  const groups = Array.from({ length: Math.floor(KEYS / size) }, (_, group) =>
    keys.slice(group * size, (group + 1) * size),
  );
  const group = (place: number): string[] => groups[place % groups.length] as string[];
  const options = { ...UNTIMED, typeMapping: {} };
  const read = (names: string[]): Promise<unknown> => client.mGet(names);
  const script = (names: string[]): Promise<unknown> =>
    client.sendCommand(['EVALSHA_RO', sha, String(names.length), ...names], options);
  // About as long for all sizes: what is read costs by its keys, and a call by itself.
  const calls = Math.ceil((msPerRound * 400) / (size + 4));
  const load = (ask: (names: string[]) => Promise<unknown>): Load => ({
    calls,
    concurrency: CONCURRENCY,
    call: (place) => ask(group(place)),
  });
  return {
    alone: load((names) => Promise.all([read(names)])),
    pttls: load((names) =>
      Promise.all([
        read(names),
        ...names.map((name) => client.sendCommand(['PTTL', name], options)),
      ]),
    ),
    script: load((names) => Promise.all([read(names), script(names)])),
    chunks: load((names) => Promise.all([read(names), ...chunksOf(names).map(script)])),
  };
}

const chunksOf = (names: string[]): string[][] =>
  Array.from({ length: Math.ceil(names.length / CHUNK) }, (_, i) =>
    names.slice(i * CHUNK, (i + 1) * CHUNK),
  );

/** Throws: if the rivals don't answer the same. */
async function checkAlike({ pttls, script, chunks }: Ways<Load>): Promise<void> {
  const times = async (load: Load): Promise<unknown[]> => {
    const [, ...ttls] = (await load.call(0)) as unknown[];
    return ttls.flat();
  };
  const [one, ...others] = [await times(pttls), await times(script), await times(chunks)];
  for (const other of [one, ...others]) {
    assert.equal(other.length, one.length);
    assert(other.every((ttl) => typeof ttl === 'number' && ttl > 0));
  }
}

const FIGURES = {
  serverUs: 'server CPU',
  clientUs: 'client CPU',
  bothUs: 'both CPUs',
  latencyUs: 'latency',
} as const;
type Figure = keyof typeof FIGURES;
const FIGURE_NAMES = Object.keys(FIGURES) as Figure[];

const WAYS: Readonly<Record<keyof Ways<unknown>, Contender>> = {
  alone: { name: 'MGET alone', standing: 'limit' },
  pttls: { name: 'and n PTTLs', standing: 'ours' },
  script: { name: 'and a script', standing: 'ours' },
  chunks: { name: `and scripts of ${CHUNK}`, standing: 'ours' },
};

/** Where each way is along the number of keys. */
function panelsOf(sizes: readonly Size[]): readonly Panel[] {
  return FIGURE_NAMES.map((figure) => ({
    setting: FIGURES[figure],
    figure: FIGURES[figure],
    unit: 'µs',
    better: 'less',
    along: 'keys',
    rows: sizes.flatMap((size) =>
      (Object.keys(WAYS) as (keyof typeof WAYS)[]).map((way) => ({
        ...WAYS[way],
        at: size.keys,
        rounds: size[way].map((cost) => figureOf(cost, figure)),
      })),
    ),
  }));
}

function reportOf(sizes: readonly Size[]): string[] {
  const crossings = (way: Rival): string =>
    FIGURE_NAMES.map((figure) => `${FIGURES[figure]} ${crossing(sizes, way, figure)}`).join(', ');
  return [
    `One script costs less than n PTTLs: ${crossings('script')}.`,
    `Scripts of ${CHUNK} cost less: ${crossings('chunks')}.`,
  ];
}

type Rival = 'script' | 'chunks';

const figureOf = (cost: LoadCost, figure: Figure): number =>
  figure === 'bothUs' ? cost.serverUs + cost.clientUs : cost[figure];

/** How many times as much as n PTTLs. */
function against(size: Size, way: Rival, figure: Figure): number {
  const rounds = (costs: readonly LoadCost[]): number[] =>
    costs.map((cost) => figureOf(cost, figure));
  return ratio(rounds(size[way]), rounds(size.pttls));
}

/** At which of the sizes measured the rival costs less. */
function crossing(sizes: readonly Size[], way: Rival, figure: Figure): string {
  const cheaper = sizes.filter((size) => against(size, way, figure) < 1).map(({ keys }) => keys);
  return cheaper.length === 0 ? 'at no n' : `at n = ${cheaper.join(' ')}`;
}
