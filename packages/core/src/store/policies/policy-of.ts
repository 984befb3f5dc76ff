import { assertNever } from '../../assert-never.ts';
import type { EvictionPolicy, PolicyName, Ranked } from '../policy.ts';
import { LfuPolicy } from './lfu.ts';
import { LruPolicy } from './lru.ts';
import { TtlPolicy } from './ttl.ts';

/** The policy chosen, by name or by a factory of the user's own; a new one for each store. */
export function policyOf<E extends Ranked>(
  choice: PolicyName | (() => EvictionPolicy<E>),
): EvictionPolicy<E> {
  if (typeof choice === 'function') return choice();
  switch (choice) {
    case 'lru':
      return new LruPolicy<E>();
    case 'lfu':
      return new LfuPolicy<E>();
    case 'ttl':
      return new TtlPolicy<E>();
    default:
      return assertNever(choice);
  }
}
