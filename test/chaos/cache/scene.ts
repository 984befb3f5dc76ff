import { join } from 'node:path';
import type { Entry, handlers, Work } from '../../children/cache-contender.ts';
import { pause } from '../../support/eventually.ts';
import { readJournal } from '../../support/journal.ts';
import { openLogFolder } from '../../support/log-folder.ts';
import { Random } from '../../support/random.ts';
import type { Contact } from '../contact.ts';
import { Crew, type Member } from '../crew.ts';
import { Ground, type GroundKind } from '../ground.ts';
import { commonMishaps, deletion, hang, overwriting } from '../mishaps.ts';
import { type Mishap, Nemesis } from '../nemesis.ts';
import type { SentinelWay, SingleWay } from '../way.ts';
import { type History, notesOf } from './history.ts';
import type { Promises } from './judge.ts';
import { SourceOfTruth } from './source-of-truth.ts';

export interface SceneOptions extends Size {
  readonly kind: GroundKind;
  /** How long the nemesis rages. */
  readonly seconds: number;
  readonly seed: number;
  /** How processes reach a master that may change: led to it, or by asking the sentinels. */
  readonly contact?: Contact['is'];
  /** Which mishaps; all that the deployment can have if not said. */
  readonly mishaps?: readonly string[];
  /** The pauses between mishaps, least and most. */
  readonly calmMs?: readonly [number, number];
  /** How long they go on undisturbed afterwards. */
  readonly restingMs?: number;
  /** Within which calls have to end once no more begin. */
  readonly patienceMs?: number;
  /** Of all loads, how many outlast their first lease. */
  readonly longLoads?: number;
  readonly broken?: Work['broken'];
}

/** How many there are, and how long a caller rests between two calls, on average. */
export interface Size {
  readonly processes: number;
  readonly callers: number;
  readonly keys: number;
  readonly restMs: number;
}

export const FULL: Size = { processes: 10, callers: 100, keys: 200, restMs: 300 };

const NAMESPACE = 'nemesis';
const BEAT_KEYS = ['beat'] as const;
const LEASE_MS = 1_000;
const MAX_STALENESS_MS = 800;
/** More than a busy machine takes for an answer, so that what fails has been made to. */
const REDIS_MS = 1_000;
const HARD_MS = 10_000;
const SETTLE_MS = 2_500;
const RESTING_MS = 5_000;
const PATIENCE_MS = 20_000;
const LONG_LOADS = 1 / 200;
/** Long enough now and then for calls to succeed or fail, and keys to be hit, by themselves. */
const CALM_MS = [200, 5_000] as const;

/** What the caches of this scene promise. */
export function promisesOf(kind: GroundKind): Promises {
  return {
    maxStalenessMs: MAX_STALENESS_MS,
    leaseMs: LEASE_MS,
    redisMs: REDIS_MS,
    // Where a failover may bring back what was deleted, the TTL is what ends that.
    ttlMs: kind === 'sentinel' ? 5_000 : 300_000,
    settleMs: SETTLE_MS,
    successRatio: 0.95,
    hitRatio: 0.99,
    leastCalls: 100,
  };
}

type Handlers = typeof handlers;

/**
 * Processes read, delete and write the same keys through their caches while a nemesis is at them; all
 * that they asked and saw is put together when they have ended.
 *
 * Throws: if servers or processes can't be started, or a fault can't be done.
 */
export async function play(options: SceneOptions): Promise<History> {
  await using ground = await Ground.open(options.kind);
  await using source = await SourceOfTruth.start();
  const folder = openLogFolder('nemesis');
  try {
    await using scene = new Scene(options, ground, source, folder.path);
    await scene.begin();
    await scene.nemesis.rage(options.seconds * 1_000);
    return await scene.end();
  } finally {
    folder.close();
  }
}

class Scene implements AsyncDisposable {
  readonly nemesis: Nemesis;
  readonly #options: SceneOptions;
  readonly #ground: Ground;
  readonly #source: SourceOfTruth;
  readonly #folder: string;
  readonly #random: Random;
  readonly #keys: readonly string[];
  readonly #crew: Crew<Handlers, SingleWay | SentinelWay>;
  readonly #begun: string[] = [];
  #startedNs = 0n;

  constructor(options: SceneOptions, ground: Ground, source: SourceOfTruth, folder: string) {
    this.#options = options;
    this.#ground = ground;
    this.#source = source;
    this.#folder = folder;
    this.#random = new Random(options.seed);
    this.#keys = Array.from({ length: options.keys }, (_, i) => `key${i}`);
    this.#crew = new Crew({
      script: 'cache-contender.ts',
      openWay: () => ground.openWay(options.contact),
      begin: (member) => this.#begin(member),
    });
    const mishaps = this.#mishaps();
    const { calmMs = CALM_MS } = options;
    this.nemesis = new Nemesis({ random: this.#random, mishaps, calmMs });
  }

  async begin(): Promise<void> {
    this.#startedNs = process.hrtime.bigint();
    const { processes } = this.#options;
    await Promise.all(Array.from({ length: processes }, () => this.#crew.start()));
  }

  /** Lets everything settle, and puts it together. */
  async end(): Promise<History> {
    await pause(this.#options.restingMs ?? RESTING_MS);
    const endedNs = process.hrtime.bigint();
    await Promise.all(this.#crew.members.map(({ child }) => child.request('finish')));
    const notes = this.#begun.map((name) => ({
      name,
      ...notesOf(name, readJournal<Entry>(this.#journalOf(name))),
    }));
    return {
      ...{ startedNs: this.#startedNs, endedNs, keys: this.#keys, faults: this.nemesis.faults },
      changes: this.#source.changes,
      reads: notes.flatMap(({ reads }) => reads),
      mutations: notes.flatMap(({ mutations }) => mutations),
      loads: notes.flatMap(({ loads }) => loads),
      beats: new Map(notes.map(({ name, beats }) => [name, beats])),
      unsettled: notes.flatMap(({ unsettled }) => unsettled),
      lost: this.#crew.lost,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#crew[Symbol.asyncDispose]();
  }

  async #begin({ name, child, way }: Member<Handlers, SingleWay | SentinelWay>): Promise<void> {
    const {
      broken,
      callers,
      restMs,
      kind,
      patienceMs = PATIENCE_MS,
      longLoads = LONG_LOADS,
    } = this.#options;
    this.#begun.push(name);
    await child.request('work', {
      name,
      contact: this.#ground.contactOf(way),
      namespace: broken === 'private' ? `${NAMESPACE}:${name}` : NAMESPACE,
      keys: this.#keys,
      beatKeys: BEAT_KEYS,
      callers,
      restMs,
      sourcePort: this.#source.port,
      ttlMs: promisesOf(kind).ttlMs,
      leaseMs: LEASE_MS,
      maxStalenessMs: MAX_STALENESS_MS,
      redisMs: REDIS_MS,
      hardMs: HARD_MS,
      patienceMs,
      longLoads,
      journal: this.#journalOf(name),
      seed: Math.floor(this.#random.between(0, 2 ** 32)),
      broken,
    });
  }

  #mishaps(): Mishap[] {
    const ground = this.#ground;
    const stage = {
      random: this.#random,
      crew: this.#crew,
      leaseMs: LEASE_MS,
      get master() {
        return ground.master;
      },
      victim: () => {
        const { readers } = this.#source;
        return readers.length === 0 ? undefined : this.#random.anyOf(readers);
      },
    };
    const inRedis = (key: string): string => `${NAMESPACE}:${key}`;
    const all = [
      ...commonMishaps(stage),
      deletion(stage, this.#keys, inRedis),
      overwriting(stage, this.#keys, inRedis),
      hang(stage),
      ...ground.mishaps(stage),
    ];
    const { mishaps } = this.#options;
    return all.filter(({ what }) => mishaps?.includes(what) ?? true);
  }

  #journalOf(name: string): string {
    return join(this.#folder, `${name.replaceAll(' ', '-')}.jsonl`);
  }
}
