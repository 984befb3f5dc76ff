import type { EvictionPolicy, Ranked } from '../policy.ts';
import { Chain } from './chain.ts';

/** The least recently used leaves first. A hit moves a few links and allocates nothing. */
export class LruPolicy<E extends Ranked> implements EvictionPolicy<E> {
  /** From the least to the most recently used. */
  #chain: Chain<E> = new Chain();

  add(entry: E): void {
    this.#chain.append(entry);
  }

  touch(entry: E): void {
    this.#chain.moveToEnd(entry);
  }

  remove(entry: E): void {
    this.#chain.remove(entry);
  }

  victim(): E | undefined {
    return this.#chain.first;
  }

  clear(): void {
    this.#chain = new Chain();
  }
}
