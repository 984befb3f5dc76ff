/** One caller's place in the queue for a key. */
export interface Place {
  readonly isFirst: boolean;
  /** Idempotent; whoever stands next is told if this was the first. */
  leave(): void;
}

interface Standing {
  readonly onTurn: () => void;
}

/**
 * Those in this process who want the same key, in the order in which they came. Only the first
 * talks to Redis, so that a thousand who wait cost as many commands as one.
 */
export class Waiters {
  readonly #queues = new Map<string, Set<Standing>>();

  /** Keys that somebody waits for. */
  get keys(): number {
    return this.#queues.size;
  }

  /** Goes to the end of the queue. `onTurn` is called once, when those before have left. */
  enter(key: string, onTurn: () => void): Place {
    const standing: Standing = { onTurn };
    const queue = this.#queueOf(key);
    queue.add(standing);
    return {
      get isFirst(): boolean {
        return first(queue) === standing;
      },
      leave: () => {
        const wasFirst = first(queue) === standing;
        if (!queue.delete(standing)) return;
        if (queue.size === 0) this.#queues.delete(key);
        else if (wasFirst) first(queue)?.onTurn();
      },
    };
  }

  #queueOf(key: string): Set<Standing> {
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const queue = new Set<Standing>();
    this.#queues.set(key, queue);
    return queue;
  }
}

function first(queue: ReadonlySet<Standing>): Standing | undefined {
  const [standing] = queue;
  return standing;
}
