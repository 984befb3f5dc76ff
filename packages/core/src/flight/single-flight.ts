import { ShortLivedMap } from '../short-lived-map.ts';

/**
 * One run per id at a time in this process; whoever asks meanwhile gets the same promise.
 *
 * A flight that was detached goes on for those who are in it, and the next caller starts anew
 * (I1): what it will answer may already be outdated.
 */
export class SingleFlight<F extends Flight<unknown>> {
  readonly #flights = new ShortLivedMap<string, F>();

  get size(): number {
    return this.#flights.size;
  }

  joinable(id: string): F | undefined {
    return this.#flights.get(id);
  }

  /** Starts a flight that others may join until it lands or is detached. Answers it. */
  begin(flight: F): F {
    this.#flights.set(flight.id, flight);
    return flight;
  }

  /** The next caller starts anew. */
  detach(flight: Flight<unknown>): void {
    if (this.#flights.get(flight.id) === flight) this.#flights.delete(flight.id); // guard: I1
  }

  /** Lets callers join again, unless another flight has begun since. */
  reattach(flight: F): void {
    if (!flight.landed && !this.#flights.has(flight.id)) this.#flights.set(flight.id, flight);
  }
}

/** Where a flight may be joined. */
interface Home {
  detach(flight: Flight<unknown>): void;
}

/** One run that several callers wait for. Nobody waiting is not an unhandled rejection. */
export class Flight<T> {
  readonly id: string;
  readonly promise: Promise<T>;
  readonly #home: Home;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #landed = false;

  constructor(home: Home, id: string) {
    this.id = id;
    this.#home = home;
    // There is one for every miss: a function for each of them would be one more to collect.
    this.promise = new Promise<T>(take);
    this.#resolve = taken.resolve as (value: T) => void;
    this.#reject = taken.reject;
    // Or the last value would be kept for as long as nothing else is missed.
    taken.resolve = nothing;
    taken.reject = nothing;
  }

  get landed(): boolean {
    return this.#landed;
  }

  detach(): void {
    this.#home.detach(this as Flight<unknown>);
  }

  land(value: T): void {
    this.#landed = true;
    this.detach(); // guard: I1, I12
    this.#resolve(value);
  }

  fail(error: unknown): void {
    this.#landed = true;
    this.detach(); // guard: I1, I12
    this.promise.catch(() => {});
    this.#reject(error);
  }
}

const nothing = (): void => {};

/** What settles the promise that is being made. */
const taken: { resolve: (value: never) => void; reject: (error: unknown) => void } = {
  resolve: nothing,
  reject: nothing,
};

function take(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  taken.resolve = resolve;
  taken.reject = reject;
}
