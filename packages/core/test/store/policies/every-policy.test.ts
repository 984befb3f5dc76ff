import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { policyOf } from '../../../src/store/policies/policy-of.ts';
import type { EvictionPolicy, PolicyName } from '../../../src/store/policy.ts';
import { Filed } from './filed.ts';

const NAMES: readonly PolicyName[] = ['lru', 'lfu', 'ttl'];

/** What any policy must keep to, as naive as it can be: who is a member, oldest filing and use first. */
interface Model {
  members: Filed[];
  /** By the last time each was filed or used. */
  byUse: Filed[];
  left: Filed[];
}

type Command = fc.Command<Model, EvictionPolicy<Filed>>;

/** The members of a policy, from the first to leave to the last, which empties it. */
function leaving(policy: EvictionPolicy<Filed>): Filed[] {
  const order: Filed[] = [];
  for (let next = policy.victim(); next !== undefined; next = policy.victim()) {
    policy.remove(next);
    order.push(next);
  }
  return order;
}

const without = (entries: readonly Filed[], entry: Filed): Filed[] =>
  entries.filter((each) => each !== entry);

class Step implements Command {
  readonly #text: string;
  readonly #needsMember: boolean;
  readonly #perform: (model: Model, policy: EvictionPolicy<Filed>) => void;
  constructor(
    text: string,
    needsMember: boolean,
    perform: (model: Model, policy: EvictionPolicy<Filed>) => void,
  ) {
    this.#text = text;
    this.#needsMember = needsMember;
    this.#perform = perform;
  }
  check({ members }: Readonly<Model>): boolean {
    return !this.#needsMember || members.length > 0;
  }
  run(model: Model, policy: EvictionPolicy<Filed>): void {
    this.#perform(model, policy);
    const victim = policy.victim();
    if (model.members.length === 0) expect(victim).toBeUndefined();
    else expect(model.members).toContain(victim);
    expect(policy.victim()).toBe(victim);
  }
  toString(): string {
    return this.#text;
  }
}

const nth = (entries: readonly Filed[], n: number): Filed => entries[n % entries.length] as Filed;

function drop(model: Model, policy: EvictionPolicy<Filed>, entry: Filed): void {
  policy.remove(entry);
  model.members = without(model.members, entry);
  model.byUse = without(model.byUse, entry);
  model.left.push(entry);
  expect([entry.prev, entry.next]).toEqual([undefined, undefined]);
}

const deadlines = fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 20 }));
const commands = fc.commands(
  [
    deadlines.map(
      (deadlineAtMs) =>
        new Step(`add ${deadlineAtMs}`, false, (model, policy) => {
          const entry = new Filed('', deadlineAtMs);
          policy.add(entry);
          model.members.push(entry);
          model.byUse.push(entry);
        }),
    ),
    fc.nat().map(
      (n) =>
        new Step(`touch ${n}`, true, (model, policy) => {
          const entry = nth(model.members, n);
          policy.touch(entry);
          model.byUse = [...without(model.byUse, entry), entry];
        }),
    ),
    fc
      .nat()
      .map(
        (n) =>
          new Step(`remove ${n}`, true, (model, policy) =>
            drop(model, policy, nth(model.members, n)),
          ),
      ),
    fc.constant(
      new Step('evict', true, (model, policy) => drop(model, policy, policy.victim() as Filed)),
    ),
    fc.constant(
      new Step('remove once more', false, (model, policy) => {
        for (const entry of model.left) policy.remove(entry);
      }),
    ),
    fc.constant(
      new Step('clear', false, (model, policy) => {
        policy.clear();
        model.members = [];
        model.byUse = [];
      }),
    ),
  ],
  { maxCommands: 200, size: 'max' },
);

/** In which order all members leave where the policy promises an exact one. */
const PROMISED: Readonly<Record<PolicyName, ((model: Model) => Filed[]) | undefined>> = {
  lru: ({ byUse }) => byUse,
  lfu: undefined,
  ttl: ({ members }) =>
    members.toSorted((one, other) =>
      one.deadlineAtMs === other.deadlineAtMs ? 0 : one.deadlineAtMs - other.deadlineAtMs,
    ),
};

describe.for(NAMES)('%s', (name) => {
  test('after whatever happened: the victim is a member, none is lost, none comes back', () => {
    fc.assert(
      fc.property(commands, (steps) => {
        const policy = policyOf<Filed>(name);
        const model: Model = { members: [], byUse: [], left: [] };
        fc.modelRun(() => ({ model, real: policy }), steps);
        const order = leaving(policy);
        expect(new Set(order)).toEqual(new Set(model.members));
        expect(order).toHaveLength(model.members.length);
        const promised = PROMISED[name]?.(model);
        if (promised !== undefined) expect(order).toEqual(promised);
      }),
      { numRuns: 200 },
    );
  });

  test('keeps nothing of an entry that was removed, and of none after a clear', () => {
    const policy = policyOf<Filed>(name);
    const entries = Array.from({ length: 50 }, (_, i) => new Filed(`${i}`, i));
    for (const entry of entries) policy.add(entry);
    for (const entry of entries) policy.touch(entry);
    const kept = entries.pop() as Filed;
    for (const entry of entries) policy.remove(entry);
    expect(entries.every(({ prev, next }) => prev === undefined && next === undefined)).toBe(true);
    expect(policy.victim()).toBe(kept);
    policy.clear();
    expect(policy.victim()).toBeUndefined();
  });

  test('what left with a clear does not disturb those that came after it', () => {
    const policy = policyOf<Filed>(name);
    const before = Array.from({ length: 20 }, (_, i) => new Filed(`before ${i}`, i));
    const after = Array.from({ length: 20 }, (_, i) => new Filed(`after ${i}`, i));
    for (const entry of before) policy.add(entry);
    policy.clear();
    for (const entry of after) policy.add(entry);
    expect(new Set(leaving(policy))).toEqual(new Set(after));
  });
});

test('a factory of the user is asked for a policy', () => {
  const mine = policyOf<Filed>('lru');
  expect(policyOf(() => mine)).toBe(mine);
});
