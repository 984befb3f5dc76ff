import { join } from 'node:path';
import type { Entry, handlers, Work, Write } from '../../children/lock-contender.ts';
import { eventually, pause } from '../../support/eventually.ts';
import { readJournal } from '../../support/journal.ts';
import { openLogFolder } from '../../support/log-folder.ts';
import { Random } from '../../support/random.ts';
import type { Contact } from '../contact.ts';
import { Crew, type Member } from '../crew.ts';
import { Ground, type GroundKind } from '../ground.ts';
import { commonMishaps, deletion } from '../mishaps.ts';
import { type Mishap, Nemesis } from '../nemesis.ts';
import type { SentinelWay, SingleWay } from '../way.ts';
import { type History, notesOf } from './history.ts';
import type { Promises } from './judge.ts';
import { Register } from './register.ts';
import { TokenWatch } from './token-watch.ts';

export interface SceneOptions {
  readonly kind: GroundKind;
  /** How long the nemesis rages. */
  readonly seconds: number;
  readonly seed: number;
  /** How processes reach a master that may change: led to it, or by asking the sentinels. */
  readonly contact?: Contact['is'];
  /** Which mishaps; all that the deployment can have if not said. */
  readonly mishaps?: readonly string[];
  readonly processes?: number;
  /** The pauses between mishaps, least and most. */
  readonly calmMs?: readonly [number, number];
  readonly broken?: Work['broken'];
  /** Of the locks of a process; the same for all if not said. */
  readonly prefixOf?: (process: string) => string;
}

const KEYS = ['a', 'b', 'c'] as const;
const PREFIX = 'redcache:lock:';
const PROCESSES = 6;
const CALLERS_PER_KEY = 2;
const LEASE_MS = 500;
const WAIT_MS = 3_000;
/** Long enough now and then for calls to succeed or fail by themselves. */
const CALM_MS = [100, 1_600] as const;

/**
 * What the locks of this scene promise. A lock is given again after a lease, and what it takes a
 * client to come back, on a machine that has other things to do.
 */
export const PROMISES: Promises = {
  leaseMs: LEASE_MS,
  slackMs: 2_000,
  successRatio: 0.95,
  leastCalls: 30,
};

type Handlers = typeof handlers;

/**
 * Processes take the same locks and write under their tokens while a nemesis is at them; all that
 * they did and believed is put together when they have ended.
 *
 * Throws: if servers or processes can't be started, or a fault can't be done.
 */
export async function play(options: SceneOptions): Promise<History> {
  const { kind, seconds } = options;
  await using ground = await Ground.open(kind);
  const folder = openLogFolder('nemesis');
  try {
    await using scene = new Scene(options, ground, folder.path);
    await scene.begin();
    await scene.nemesis.rage(seconds * 1_000);
    return await scene.end();
  } finally {
    folder.close();
  }
}

class Scene implements AsyncDisposable {
  readonly nemesis: Nemesis;
  readonly #options: SceneOptions;
  readonly #ground: Ground;
  readonly #folder: string;
  readonly #random: Random;
  readonly #register = new Register();
  readonly #crew: Crew<Handlers, SingleWay | SentinelWay>;
  readonly #begun: string[] = [];
  #watch: TokenWatch | undefined;
  #startedNs = 0n;

  constructor(options: SceneOptions, ground: Ground, folder: string) {
    this.#options = options;
    this.#ground = ground;
    this.#folder = folder;
    this.#random = new Random(options.seed);
    this.#crew = new Crew({
      script: 'lock-contender.ts',
      openWay: () => ground.openWay(options.contact),
      begin: (member) => this.#begin(member),
    });
    const mishaps = this.#mishaps();
    this.nemesis = new Nemesis({
      random: this.#random,
      mishaps,
      calmMs: options.calmMs ?? CALM_MS,
    });
  }

  async begin(): Promise<void> {
    // A master that may change gives its tokens in more than one place.
    if (this.#ground.kind === 'standalone')
      this.#watch = await TokenWatch.start(
        this.#ground.master,
        new Map(KEYS.map((key) => [`${PREFIX}${key}`, key])),
      );
    const { processes = PROCESSES } = this.#options;
    await Promise.all(Array.from({ length: processes }, () => this.#crew.start()));
    this.#startedNs = process.hrtime.bigint();
  }

  /** Gives every lock the time in which it has to be taken again, and puts everything together. */
  async end(): Promise<History> {
    const { leaseMs, slackMs } = PROMISES;
    const { faults } = this.nemesis;
    const lastNs = faults.at(-1)?.endedNs ?? this.#startedNs;
    const entered = (key: string): boolean =>
      this.#register.arrivals.some((write) => write.key === key && write.lookedNs > lastNs);
    // The judge says so if it took too long.
    await eventually(() => KEYS.every(entered), Boolean, { deadlineMs: leaseMs + slackMs }).catch(
      () => {},
    );
    await pause(2 * leaseMs);
    const endedNs = process.hrtime.bigint();
    await Promise.all(this.#crew.members.map(({ child }) => child.request('finish')));
    const given = (await this.#watch?.given()) ?? [];
    const notes = this.#begun.map((name) => ({
      name,
      ...notesOf(name, readJournal<Entry>(this.#journalOf(name))),
    }));
    return {
      ...{ startedNs: this.#startedNs, endedNs, keys: KEYS, faults, given },
      holdings: notes.flatMap(({ holdings }) => holdings),
      calls: notes.flatMap(({ calls }) => calls),
      beats: new Map(notes.map(({ name, beats }) => [name, beats])),
      arrivals: this.#register.arrivals,
      lost: this.#crew.lost,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#crew[Symbol.asyncDispose]();
    this.#watch?.close();
  }

  async #begin({ name, child, way }: Member<Handlers, SingleWay | SentinelWay>): Promise<void> {
    const { broken, prefixOf = () => PREFIX } = this.#options;
    this.#begun.push(name);
    child.onEvent('write', (write) => this.#register.write(name, write as Write));
    await child.request('work', {
      contact: this.#ground.contactOf(way),
      prefix: prefixOf(name),
      keys: KEYS,
      callersPerKey: CALLERS_PER_KEY,
      leaseMs: LEASE_MS,
      waitMs: WAIT_MS,
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
        const { holders } = this.#register;
        return holders.length === 0 ? undefined : this.#random.anyOf(holders);
      },
    };
    const all = [
      ...commonMishaps(stage),
      deletion(stage, KEYS, (key) => `${PREFIX}${key}`),
      ...ground.mishaps(stage),
    ];
    const { mishaps } = this.#options;
    return all.filter(({ what }) => mishaps?.includes(what) ?? true);
  }

  #journalOf(name: string): string {
    return join(this.#folder, `${name.replaceAll(' ', '-')}.jsonl`);
  }
}
